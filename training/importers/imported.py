"""Summary of an import, and how its parts are counted."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from models.dataset.faults import FaultReport
from training.importers.mapping import Section
from training.importers.source import Source
from training.importers.values import section_columns


@dataclass(slots=True, eq=False)
class Imported:
    """Summary of an import.

    Attributes:
        n_rows: Rows read, by file: its name, or its path where several have the name.
        n_sales: Sales written.
        n_events: Events written, by type.
        n_customers: Customers written; None without a file of them.
        left_out: Rows that the mapping leaves out on purpose, by its name for them.
        unused: Columns that no section of the mapping names, by file.
        event_currencies: Currencies, and signs that several have, of amounts of events.
        remarks: What was assumed.
        faults: Rows that could not be used, each once by column and code.
    """

    n_rows: dict[str, int] = field(default_factory=dict[str, int])
    n_sales: int = 0
    n_events: dict[str, int] = field(default_factory=dict[str, int])
    n_customers: int | None = None
    left_out: dict[str, int] = field(default_factory=dict[str, int])
    unused: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    event_currencies: set[str] = field(default_factory=set[str])
    remarks: list[str] = field(default_factory=list[str])
    faults: FaultReport = field(default_factory=FaultReport.none)

    def count_rows(self, source: Source) -> None:
        """Count the rows of a source, and those that could not be read."""
        file, faults = source.table.file, source.table.faults
        self.n_rows[file] = self.n_rows.get(file, 0) + source.frame.height + len(faults)
        self.faults += faults

    def count_left_out(self, name: str, n: int) -> None:
        """Count rows that the mapping leaves out."""
        if n:
            self.left_out[name] = self.left_out.get(name, 0) + n

    def note_unused(self, file: str, columns: Iterable[str], *, section: Section) -> None:
        """Note which columns neither this section names, nor an earlier one of the file."""
        unused = sorted({*columns} - section_columns(section))
        self.unused[file] = [name for name in unused if name in self.unused.get(file, unused)]

    def distinct_faults(self) -> FaultReport:
        """Return each fault of a row once.

        A row that becomes several events, or rows of several tables, fails a check for each.
        """
        keys = ["file", "row", "column", "code"]
        return FaultReport(self.faults.table.unique(keys, keep="first", maintain_order=True))
