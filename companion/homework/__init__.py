"""Homework: questions whose wrong answers have names.

>>> from companion.homework import check
>>> check("hw4", "rate", rate)
rate: right (3 points)
"""

from companion.homework.checking import WrongAnswerError, check
from companion.homework.grading import Mark, Report, grade
from companion.homework.isolation import Limits
from companion.homework.question import Question, Wrong
from companion.homework.submission import SubmissionError

__all__ = [
    "Limits",
    "Mark",
    "Question",
    "Report",
    "SubmissionError",
    "Wrong",
    "WrongAnswerError",
    "check",
    "grade",
]
