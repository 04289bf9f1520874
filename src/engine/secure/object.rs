//! Bodies in an object store. Credentials, region and endpoint come from the variables that the store's own tools read,
//! of the process or of `.env`; nothing is sent in the clear unless they say so.

use crate::engine::session::Environ;
use crate::error::{Error, Result};
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::path::Path;
use object_store::{ClientOptions, ObjectStore, ObjectStoreExt, RetryConfig};
use std::sync::Arc;
use std::time::Duration;

/// A request that takes longer is given up.
const LONGEST: Duration = Duration::from_secs(30);
/// Failed requests are sent again so often.
const RETRIES: usize = 3;

/// A bucket, and what stands before the names in it.
pub struct Store {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    /// What the names of the variables that it reads begin with.
    pub variables: &'static str,
}

impl Store {
    /// Makes a client; nothing is asked yet.
    ///
    /// # Errors
    /// The variables do not make one.
    pub fn open(environ: &Environ, scheme: &str, bucket: &str, prefix: &str) -> Result<Store> {
        // TLS as everywhere else: the one provider that is built in. A second call changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let options = ClientOptions::new().with_timeout(LONGEST).with_connect_timeout(LONGEST / 3);
        let retry = RetryConfig { max_retries: RETRIES, retry_timeout: LONGEST, ..RetryConfig::default() };
        let own = match scheme {
            "gs" => "GOOGLE_",
            "az" => "AZURE_",
            _ => "AWS_",
        };
        let built = match scheme {
            "gs" => {
                let builder = GoogleCloudStorageBuilder::new().with_client_options(options).with_retry(retry);
                let builder = variables(environ, own).fold(builder, |builder, (key, value)| match key.parse() {
                    Ok(key) => builder.with_config(key, value),
                    Err(_) => builder,
                });
                builder.with_bucket_name(bucket).build().map(|store| Arc::new(store) as Arc<dyn ObjectStore>)
            }
            "az" => {
                let builder = MicrosoftAzureBuilder::new().with_client_options(options).with_retry(retry);
                let builder = variables(environ, own).fold(builder, |builder, (key, value)| match key.parse() {
                    Ok(key) => builder.with_config(key, value),
                    Err(_) => builder,
                });
                builder.with_container_name(bucket).build().map(|store| Arc::new(store) as Arc<dyn ObjectStore>)
            }
            _ => {
                let builder = AmazonS3Builder::new().with_client_options(options).with_retry(retry);
                let builder = variables(environ, own).fold(builder, |builder, (key, value)| match key.parse() {
                    Ok(key) => builder.with_config(key, value),
                    Err(_) => builder,
                });
                builder.with_bucket_name(bucket).build().map(|store| Arc::new(store) as Arc<dyn ObjectStore>)
            }
        };
        let store = built.map_err(|e| fault(&format!("cannot use {scheme}://{bucket}"), &e))?;
        let prefix =
            Path::parse(prefix).map_err(|e| Error::usage(format!("the prefix `{prefix}` is no path")).cause(e))?;
        Ok(Store { store, prefix, variables: own })
    }

    fn path(&self, name: &str) -> Path {
        self.prefix.clone().join(name)
    }

    /// Reads a body, if it is there.
    pub async fn get(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let read = async { self.store.get(&self.path(name)).await?.bytes().await };
        match read.await {
            Ok(bytes) => Ok(Some(bytes.to_vec())),
            // A bucket that does not exist is no place without the body, but a wrong one.
            Err(e @ object_store::Error::NotFound { .. }) if e.to_string().contains("NoSuchBucket") => {
                Err(fault("the bucket does not exist", &e))
            }
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(fault("the store refused", &e)),
        }
    }

    /// Writes a body.
    pub async fn put(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let written = self.store.put(&self.path(name), bytes.to_vec().into()).await;
        written.map(drop).map_err(|e| fault("the store refused", &e))
    }
}

/// Variables by a prefix of their names, in the lower case that the builders know; the settings of one store may stand
/// in a file beside those of another.
fn variables<'e>(environ: &'e Environ, prefix: &'static str) -> impl Iterator<Item = (String, &'e str)> {
    let named = environ.names().filter(move |name| name.starts_with(prefix));
    named.filter_map(|name| Some((name.to_ascii_lowercase(), environ.get(name)?)))
}

/// The store's words without the query of a URL, which may hold a signature.
fn fault(what: &str, error: &object_store::Error) -> Error {
    let text = error.to_string();
    let mut words: Vec<&str> = Vec::new();
    for word in text.split_whitespace() {
        words.push(word.split('?').next().unwrap_or_default());
    }
    Error::failed(what).cause(words.join(" "))
}
