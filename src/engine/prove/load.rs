//! The baseline's side: a text is loaded into an empty server and dumped again.

use super::Request;
use super::server::ThrowawayPlan;
use super::unseen::{self, Unseen};
use crate::engine::catalog;
use crate::engine::runner::load_baseline;
use crate::error::Result;
use crate::model::baseline::Dump;
use crate::model::catalog::Catalog;
use std::sync::Arc;

/// What a database that was made from a baseline shows.
pub(super) struct Loaded {
    pub dump: Dump,
    pub catalog: Catalog,
    pub unseen: Unseen,
}

/// Loads a baseline's text and reads the result back.
pub(super) async fn load(plan: &ThrowawayPlan, request: &Request<'_>, text: Arc<str>) -> Result<Loaded> {
    let side = plan.start(request.sink).await?;
    load_baseline(&side.worker, request.baseline_path, &text).await?;
    let own = side.own_roles();
    let (dump, read) = tokio::join!(side.dump(), async {
        let catalog = catalog::read(side.session().client(), &own).await?;
        Ok::<_, crate::error::Error>((catalog, unseen::read(side.session()).await?))
    });
    let (catalog, unseen) = read?;
    let loaded = Loaded { dump: dump?, catalog, unseen };
    side.end().await;
    Ok(loaded)
}
