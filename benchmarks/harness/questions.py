"""The questions that can be asked."""

from __future__ import annotations

from harness.accuracy import ACCURACY
from harness.bounds import BOUNDS
from harness.choice import CHOICE
from harness.estimators import ESTIMATORS
from harness.noise import NOISE
from harness.partial import PARTIAL
from harness.pipeline import PIPELINE
from harness.quality import QUALITY
from harness.question import Question
from harness.scale import SCALE
from harness.speed import SPEED

__all__ = ["QUESTIONS"]

_ALL = (SPEED, BOUNDS, CHOICE, PARTIAL, ACCURACY, ESTIMATORS, QUALITY, NOISE, PIPELINE, SCALE)
QUESTIONS: dict[str, Question] = {question.name: question for question in _ALL}
