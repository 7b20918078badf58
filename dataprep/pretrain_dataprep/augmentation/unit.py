"""The new documents of one entry and shard: made, counted, tokenized.

data/tokenized/NAME-SHARD.train.bin and .idx    their tokens; none is held back
data/tokenized/NAME-SHARD.augmented.parquet     text, method, unit and row of each one's origins in documents.parquet
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pretrain_api.spec.augment import Augmentation
from pretrain_dataprep import manifests
from pretrain_dataprep.augmentation.command import check_command, command_rewriter
from pretrain_dataprep.augmentation.plan import load_dictionary, load_plan, taken_rows, taken_sizes
from pretrain_dataprep.augmenting import Augmenter, Made
from pretrain_dataprep.cleaned import CleanedUnit
from pretrain_dataprep.context import StageContext, unit_name
from pretrain_dataprep.errors import InputError
from pretrain_dataprep.files import atomic_file
from pretrain_dataprep.manifests import Manifest, Recipe
from pretrain_dataprep.megatron import write_pair
from pretrain_dataprep.sources.storage import file_store
from pretrain_dataprep.surviving import read_surviving
from pretrain_dataprep.tokenizers.interface import Tokenizer, token_dtype

AUGMENTED = "augmented.parquet"
_AT_A_TIME = 64
_SCHEMA = pa.schema(
    [
        ("text", pa.large_string()),
        ("augmented", pa.string()),
        ("units", pa.list_(pa.string())),
        ("rows", pa.list_(pa.int64())),
    ]
)


def check_augmentation(context: StageContext) -> None:
    """Look whether dictionaries and programs are there: before hours of work rather than after.

    Raises:
        PreparationError: One isn't.
    """
    for index, entry in enumerate(context.data.augment):
        if entry.dictionary is not None:
            try:
                file_store(entry.dictionary).list_files(entry.dictionary)
            except InputError as error:
                cause, field = str(error).partition("; ")[0], f"spec.data.augment[{index}].dictionary"
                raise InputError(f"{field}: {cause}; write where the dictionary is", error.reason) from error
        if entry.command is not None:
            check_command(f"spec.data.augment[{index}].command", entry.command)


class AugmentedUnit:
    """Makes the new documents of an entry, of one shard of its source."""

    def __init__(
        self, context: StageContext, entry: Augmentation, unit: CleanedUnit, partner: CleanedUnit | None
    ) -> None:
        self._context = context
        self._entry = entry
        self._unit, self._partner = unit, partner
        plan = load_plan(context, entry)
        self._rows = taken_rows(context, unit, entry, plan.buckets)
        self._other_rows = np.empty(0, np.int64)
        self._limit = int(taken_sizes(context, unit, entry)[self._rows].sum())
        if partner is not None:
            self._other_rows = taken_rows(context, partner, entry, plan.partner_buckets)
            self._limit += int(taken_sizes(context, partner, entry)[self._other_rows].sum())
        self._name = unit_name(entry.name, unit.shard)
        self._used = self._size = self._too_long = self._documents = 0

    def write(self, recipe: Recipe, folder: Path, tokenizer: Tokenizer, end: int) -> Manifest:
        """Write the unit's files into `folder`; return its manifest."""
        prefix, table = folder / f"{self._name}.train", folder / f"{self._name}.{AUGMENTED}"
        with (
            write_pair(prefix, token_dtype(tokenizer.vocab_size)) as pair,
            atomic_file(table) as file,
            pq.ParquetWriter(file, _SCHEMA, compression="zstd") as writer,
        ):
            made = self._within_limit(self._made())
            while some := list(islice(made, _AT_A_TIME)):
                for tokens in tokenizer.encode([each.text for each in some]):
                    pair.add(tokens, end)
                writer.write_table(self._table(some), row_group_size=_AT_A_TIME)
                self._documents += len(some)
                self._context.progress.message = f"{self._name}: {self._documents:,} new documents"
        counts = {
            "documentsTaken": len(self._rows) + len(self._other_rows),
            "documentsOut": pair.documents,
            "bytesOut": self._size,
            "unused": len(self._rows) + len(self._other_rows) - self._used,
            "tooLong": self._too_long,
            "trainDocuments": pair.documents,
            "trainTokens": pair.tokens,
            "validationDocuments": 0,
            "validationTokens": 0,
        }
        files = [f"{prefix.name}.bin", f"{prefix.name}.idx", table.name]
        return Manifest(recipe, manifests.describe_outputs(folder, files), counts)

    def _made(self) -> Iterator[Made]:
        entry, index = self._entry, self._context.data.augment.index(self._entry)
        augmenter = Augmenter(
            method=entry.method,
            share=entry.share,
            seed=self._context.seed,
            rate=entry.rate,
            dictionary=load_dictionary(self._context, entry),
            rewriter=command_rewriter(entry.command, entry.timeout_seconds) if entry.command is not None else None,
        )
        texts = self._texts(self._unit, self._rows)
        others = self._texts(self._partner, self._other_rows) if self._partner is not None else iter(())
        try:
            yield from augmenter.make(texts, others)
        except ValueError as error:
            raise InputError(f"spec.data.augment[{index}].command: {entry.command}: {error}") from error

    def _texts(self, unit: CleanedUnit, rows: np.ndarray) -> Iterator[str]:
        for group in read_surviving(self._context, unit):
            first, last = np.searchsorted(rows, [group.first_row, group.first_row + len(group.texts)])
            for row in rows[first:last]:
                yield group.texts[int(row) - group.first_row].as_py()

    def _within_limit(self, made: Iterator[Made]) -> Iterator[Made]:
        """Leave out what would be more than the documents that were taken."""
        for each in made:
            self._used += len(each.origins)
            size = len(each.text.encode())
            if self._size + size <= self._limit:
                self._size += size
                yield each
            else:
                self._too_long += 1

    def _table(self, some: list[Made]) -> pa.Table:
        is_mixed = self._partner is not None
        units = [self._unit.name, self._partner.name if self._partner is not None else self._unit.name]
        rows = [self._rows, self._other_rows if is_mixed else self._rows]
        columns = [
            [each.text for each in some],
            [self._entry.method] * len(some),
            [units[: len(each.origins)] for each in some],
            [[int(rows[which][place]) for which, place in enumerate(each.origins)] for each in some],
        ]
        arrays = [pa.array(column, field.type) for column, field in zip(columns, _SCHEMA, strict=True)]
        return pa.table(arrays, _SCHEMA)
