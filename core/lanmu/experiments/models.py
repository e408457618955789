"""The tables of experiments: an experiment belongs to a material, its arms are revisions of it."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from lanmu.storage import Base, Public, UtcDateTime
from lanmu.storage.types import BigId


class Experiment(Public, Base):
    """实验: several wordings of one material, tried on communities side by side."""

    __tablename__ = "experiment"
    id_prefix = "exp"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    material_id: Mapped[int] = mapped_column(ForeignKey("material.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(100))
    state: Mapped[str] = mapped_column(String(16), default="draft")
    salt: Mapped[str] = mapped_column(String(32))
    created_by: Mapped[str] = mapped_column(String(60))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)

    __table_args__ = (CheckConstraint("state IN ('draft','running','stopped')", name="state"),)


class Arm(Base):
    """实验组: one wording. It is sent only once its revision has been approved."""

    __tablename__ = "arm"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    experiment_id: Mapped[int] = mapped_column(ForeignKey("experiment.id", ondelete="CASCADE"))
    key: Mapped[str] = mapped_column(String(2))
    revision_id: Mapped[int] = mapped_column(ForeignKey("revision.id"))

    __table_args__ = (UniqueConstraint("experiment_id", "key"),)
