//! Real servers of the programs on this machine.

use std::time::Instant;

use super::*;

/// Tests share one state folder, as runs of one user do; without programs they say that they are skipped.
fn local() -> Option<ThrowawayOptions> {
    if let Err(error) = programs::find(None, Some(15)) {
        eprintln!("skipped: {error}");
        return None;
    }
    Some(ThrowawayOptions {
        kind: ThrowawayKind::Local,
        major: Some(15),
        database: "shop".into(),
        ..ThrowawayOptions::default()
    })
}

async fn value(address: &ServerAddress, database: &str, sql: &str) -> String {
    let client = address.connect(database).await.unwrap();
    client.query_one(sql, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn a_throwaway_starts_answers_and_leaves_nothing() {
    let Some(options) = local() else { return };
    drop(Throwaway::start(&options).await.unwrap());
    let begin = Instant::now();
    let server = Throwaway::start(&options).await.unwrap();
    eprintln!("start: {:?}", begin.elapsed());
    let HostOrSocketDir::SocketDir(socket) = server.address().host.clone() else { panic!("no socket") };
    assert!(socket.exists());
    let settings = "SELECT concat_ws(' ', current_setting('timezone'), current_setting('fsync'), current_setting('lc_messages'), \
                    current_setting('datestyle'), pg_encoding_to_char(encoding), datcollate) \
                    FROM pg_database WHERE datname = current_database()";
    assert_eq!(value(server.address(), "shop", settings).await, "UTC off C ISO, MDY UTF8 C.UTF-8");
    let begin = Instant::now();
    drop(server);
    eprintln!("drop: {:?}", begin.elapsed());
    assert!(!socket.exists());
}
