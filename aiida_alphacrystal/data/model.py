"""Node that holds the trained weights of one stage."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import IO, Any, ClassVar, Self

from aiida import orm
from aiida.common.exceptions import StoringNotAllowed
from aiida.orm.nodes.caching import NodeCaching
from aiida.orm.pydantic import OrmMetadataField

__all__ = ('ModelData',)


class ModelDataCaching(NodeCaching):
    """Hash the weights by what they are for and what they contain, nothing else."""

    def get_objects_to_hash(self) -> dict[str, Any]:
        """Return what the hash of the node covers."""
        return {'class': str(type(self._node)), 'purpose': self._node.purpose, 'sha256': self._node.sha256}


class ModelData(orm.SinglefileData):
    """Weights of one stage in a safetensors file, with the stage they serve and their model card.

    :param file: absolute path or binary stream of the file.
    :param filename: name of the file in the repository; ``<purpose>.safetensors`` by default.
    :param purpose: one of :attr:`PURPOSES`.
    :param card: how the weights were made; it does not enter the hash.
    """

    PURPOSES: ClassVar[tuple[str, ...]] = ('distances', 'cells', 'templates')

    _CLS_NODE_CACHING = ModelDataCaching

    class AttributesModel(orm.SinglefileData.AttributesModel):
        """Attributes of the node."""

        purpose: str = OrmMetadataField(description='The stage that the weights serve', read_only=True)
        sha256: str = OrmMetadataField(description='SHA-256 checksum of the file', read_only=True)
        card: dict[str, Any] = OrmMetadataField(
            default_factory=dict, description='How the weights were made', read_only=True
        )

    def __init__(
        self,
        file: str | Path | IO[Any] | None = None,
        filename: str | None = None,
        purpose: str | None = None,
        card: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(file=file, filename=filename or f'{purpose}.safetensors', **kwargs)
        if purpose not in self.PURPOSES:
            raise ValueError(f'The purpose of weights is {purpose!r}: give one of {", ".join(self.PURPOSES)}.')
        self.base.attributes.set('purpose', purpose)
        self.base.attributes.set('card', card or {})

    def set_file(self, file: str | Path | IO[Any], filename: str | Path | None = None) -> None:
        """Store the file and its checksum.

        :param file: absolute path or binary stream of the file.
        :param filename: name of the file in the repository.
        """
        super().set_file(file, filename=filename)
        self.base.attributes.set('sha256', self._checksum())

    @classmethod
    def get_or_create(cls, content: bytes | Path, purpose: str, card: dict[str, Any] | None = None) -> Self:
        """Return the node with this content, from the database where it has one, else new and unstored.

        :param content: a safetensors file or its bytes.
        :param purpose: one of :attr:`PURPOSES`.
        :param card: how the weights were made, used for a new node only.
        """
        data = content.read_bytes() if isinstance(content, Path) else content
        filters = {'attributes.sha256': hashlib.sha256(data).hexdigest(), 'attributes.purpose': purpose}
        query = orm.QueryBuilder().append(cls, filters=filters, subclassing=False)
        existing: Self | None = query.first(flat=True)
        return existing or cls(io.BytesIO(data), purpose=purpose, card=card)

    @classmethod
    def shipped(cls, purpose: str, name: str | None = None) -> Self:
        """Return weights that the package carries, as a node that may still be unstored.

        :param purpose: one of :attr:`PURPOSES`.
        :param name: of others than the usual ones, such as ``distances-reference``.
        :raises ModelError: if the installation lacks them.
        """
        from aiida_alphacrystal.engine.checkpoint import read_shipped

        stem = name or purpose
        card = json.loads(read_shipped(f'{stem}.json'))
        return cls.get_or_create(read_shipped(f'{stem}.safetensors'), purpose, card)

    @property
    def purpose(self) -> str:
        """Return the stage that the weights serve."""
        return str(self.base.attributes.get('purpose'))

    @property
    def sha256(self) -> str:
        """Return the SHA-256 checksum of the file."""
        return str(self.base.attributes.get('sha256'))

    @property
    def card(self) -> dict[str, Any]:
        """Return how the weights were made."""
        return dict(self.base.attributes.get('card'))

    def get_description(self) -> str:
        """Return one line for listings."""
        return f'weights for {self.purpose}, sha256 {self.sha256[:12]}'

    def _validate(self) -> bool:
        super()._validate()
        if self.sha256 != self._checksum():
            raise StoringNotAllowed('The checksum differs from that of the file: make the node from the file anew.')
        return True

    def _checksum(self) -> str:
        return hashlib.sha256(self.get_content(mode='rb')).hexdigest()
