"""Node that holds the files of one interatomic potential."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Self

from aiida import orm
from aiida.common.exceptions import StoringNotAllowed
from aiida.orm.nodes.caching import NodeCaching
from aiida.orm.pydantic import OrmMetadataField

if TYPE_CHECKING:
    from aiida_alphacrystal.engine.relax.potentials import PotentialFiles

__all__ = ('PotentialData',)


class PotentialDataCaching(NodeCaching):
    """Hash the potential by the content of its files, whatever it is called."""

    def get_objects_to_hash(self) -> dict[str, Any]:
        """Return what the hash of the node covers."""
        return {'class': str(type(self._node)), 'kind': self._node.kind, 'sha256': self._node.sha256}


class PotentialData(orm.Data):
    """Files of an interatomic potential, with the name it was asked for by and the kind of its model.

    Make one with :meth:`from_files` or :meth:`get_or_create`.

    :param name: such as ``chgnet``.
    :param kind: the architecture, such as ``m3gnet`` or ``chgnet``; ``ase`` for a calculator of ASE, of which the only
        file is the record: import path, arguments, elements and version.
    :param sha256: checksum of the sorted names and contents of the files.
    """

    _CLS_NODE_CACHING = PotentialDataCaching

    class AttributesModel(orm.Data.AttributesModel):
        """Attributes of the node."""

        name: str = OrmMetadataField(description='Name of the potential', read_only=True)
        kind: str = OrmMetadataField(description='Architecture of the model, or ase', read_only=True)
        sha256: str = OrmMetadataField(description='SHA-256 checksum of the files', read_only=True)

    def __init__(
        self, name: str | None = None, kind: str | None = None, sha256: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.base.attributes.set_many({'name': name, 'kind': kind, 'sha256': sha256})

    @classmethod
    def from_files(cls, files: PotentialFiles) -> Self:
        """Return a new, unstored node.

        :param files: the files of the potential.
        """
        node = cls(name=files.name, kind=files.kind, sha256=files.sha256)
        for name, content in files.files.items():
            node.base.repository.put_object_from_filelike(io.BytesIO(content), name)
        return node

    @classmethod
    def get_or_create(cls, files: PotentialFiles) -> Self:
        """Return the node with this content and name, from the database where it has one, else new and unstored.

        :param files: the files of the potential.
        """
        filters = {f'attributes.{key}': getattr(files, key) for key in ('name', 'kind', 'sha256')}
        query = orm.QueryBuilder().append(cls, filters=filters, subclassing=False)
        existing: Self | None = query.first(flat=True)
        return existing or cls.from_files(files)

    def to_files(self) -> PotentialFiles:
        """Return the files of the potential, for the engine to load."""
        from aiida_alphacrystal.engine.relax.potentials import PotentialFiles

        repository = self.base.repository
        contents = {
            str(folder / name): repository.get_object_content(str(folder / name), mode='rb')
            for folder, _, names in repository.walk()
            for name in names
        }
        return PotentialFiles(name=self.name, kind=self.kind, files=contents)

    @property
    def name(self) -> str:
        """Return the name of the potential."""
        return str(self.base.attributes.get('name'))

    @property
    def kind(self) -> str:
        """Return the architecture of the model, or ``ase``."""
        return str(self.base.attributes.get('kind'))

    @property
    def sha256(self) -> str:
        """Return the checksum of the files."""
        return str(self.base.attributes.get('sha256'))

    def get_description(self) -> str:
        """Return one line for listings."""
        return f'potential {self.name} ({self.kind}), sha256 {self.sha256[:12]}'

    def _validate(self) -> bool:
        super()._validate()
        if self.sha256 != self.to_files().sha256:
            raise StoringNotAllowed('The checksum differs from that of the files: make the node from them anew.')
        return True
