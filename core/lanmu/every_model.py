"""Imports every room's tables, so that the core's metadata is whole before it is migrated or compared."""

import lanmu.audience.models
import lanmu.delivery.door.limit_models
import lanmu.delivery.installation.instance_models
import lanmu.delivery.models
import lanmu.experiments.models
import lanmu.ledger.models
import lanmu.library.models
import lanmu.metrics.models
import lanmu.schedule.models
import lanmu.staff.models

__all__ = ["lanmu"]
