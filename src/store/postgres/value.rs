//! What statements bind.

use std::error::Error;

use bytes::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type};

use crate::clock::Timestamp;
use crate::store::columns;

/// A value of a column, or an array of them.
#[derive(Debug, Clone)]
pub(super) enum Value {
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
    Number(Option<i64>),
    Texts(Vec<Option<String>>),
    Blobs(Vec<Option<Vec<u8>>>),
    Numbers(Vec<i64>),
}

impl Value {
    pub(super) fn sql_type(&self) -> Type {
        match self {
            Self::Text(_) => Type::TEXT,
            Self::Bytes(_) => Type::BYTEA,
            Self::Number(_) => Type::INT8,
            Self::Texts(_) => Type::TEXT_ARRAY,
            Self::Blobs(_) => Type::BYTEA_ARRAY,
            Self::Numbers(_) => Type::INT8_ARRAY,
        }
    }
}

impl From<columns::Value> for Value {
    fn from(value: columns::Value) -> Self {
        match value {
            columns::Value::Text(text) => Self::Text(text),
            // Text here cannot hold U+0000.
            columns::Value::Free(text) => Self::Bytes(text.map(String::into_bytes)),
            columns::Value::Instant(at) => instant(at),
            columns::Value::Number(number) => Self::Number(Some(number)),
            columns::Value::Hash(hash) => Self::Bytes(hash.map(Vec::from)),
        }
    }
}

pub(super) fn text(text: &str) -> Value {
    Value::Text(Some(text.to_owned()))
}

/// Text that may hold U+0000.
pub(super) fn bytes(text: Option<&str>) -> Value {
    Value::Bytes(text.map(|text| text.as_bytes().to_vec()))
}

pub(super) fn number(number: impl Into<i64>) -> Value {
    Value::Number(Some(number.into()))
}

pub(super) fn instant(instant: Option<Timestamp>) -> Value {
    Value::Number(instant.map(Timestamp::as_micros))
}

pub(super) fn texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Value {
    Value::Texts(texts.into_iter().map(|text| Some(text.to_owned())).collect())
}

impl ToSql for Value {
    fn to_sql(
        &self,
        sql_type: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Self::Text(value) => value.to_sql(sql_type, out),
            Self::Bytes(value) => value.to_sql(sql_type, out),
            Self::Number(value) => value.to_sql(sql_type, out),
            Self::Texts(values) => values.to_sql(sql_type, out),
            Self::Blobs(values) => values.to_sql(sql_type, out),
            Self::Numbers(values) => values.to_sql(sql_type, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        // Every statement is prepared with the types of its values.
        true
    }

    tokio_postgres::types::to_sql_checked!();
}
