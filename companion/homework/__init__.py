"""Homework: questions whose wrong answers have names.

>>> from companion.homework import check
>>> check("hw4", "rate", rate)
rate: right (3 points)
"""

from companion.homework.checking import WrongAnswerError, check
from companion.homework.grading import grade
from companion.homework.question import Question, Wrong
from companion.homework.running import differentiable

__all__ = ["Question", "Wrong", "WrongAnswerError", "check", "differentiable", "grade"]
