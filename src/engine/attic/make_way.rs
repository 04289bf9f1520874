//! Rows and values that the older schema refuses.

use super::keep::{Keeping, Stop};
use crate::engine::runner::{Stumble, Unit};

impl Keeping<'_, '_> {
    /// Takes out of the way what the script stumbled over, and keeps it; the transaction then stands before the script
    /// again. False where nothing was found that could be taken.
    pub(super) async fn make_way(&mut self, _unit: &Unit<'_>, _stumble: &Stumble) -> Result<bool, Stop> {
        Ok(false)
    }
}
