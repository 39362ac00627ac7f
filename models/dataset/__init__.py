"""The dataset contract: the files that users export, and that training and the store read."""

from models.dataset.event_columns import Labels
from models.dataset.events import EventTable
from models.dataset.faults import DatasetError, Effect, Fault, FaultCode, FaultReport
from models.dataset.reading import Dataset, Progress, read_dataset, read_event_log

__all__ = [
    "Dataset",
    "DatasetError",
    "Effect",
    "EventTable",
    "Fault",
    "FaultCode",
    "FaultReport",
    "Labels",
    "Progress",
    "read_dataset",
    "read_event_log",
]
