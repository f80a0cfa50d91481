"""The questions that can be asked."""

from __future__ import annotations

from harness.accuracy import ACCURACY
from harness.estimators import ESTIMATORS
from harness.quality import QUALITY
from harness.question import Question
from harness.scale import SCALE
from harness.speed import SPEED

__all__ = ["QUESTIONS"]

QUESTIONS: dict[str, Question] = {question.name: question for question in (SPEED, ACCURACY, ESTIMATORS, QUALITY, SCALE)}
