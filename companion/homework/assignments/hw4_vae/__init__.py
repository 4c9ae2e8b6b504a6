"""The variational autoencoder: rate, draw, negative ELBO and free bits"""
