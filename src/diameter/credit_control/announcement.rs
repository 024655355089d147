//! Announcement-Information (TS 32.299 7.2.4A, spec G-88): what the user is to be told, such as how much is left.

use std::sync::Arc;

use super::group::{enumerated, group};

group! {
    /// Announcement-Information.
    pub struct Announcement {
        /// Announcement-Identifier: which one.
        id: Option<u32> = ANNOUNCEMENT_IDENTIFIER,
        /// Variable-Part: what is filled in.
        parts: Vec<VariablePart> = VARIABLE_PART,
        /// Time-Indicator: seconds before the end of the quota; 0 when it is used up, absent before the service goes on.
        time: Option<u32> = TIME_INDICATOR,
        /// Quota-Indicator: quota is used while it is played.
        uses_quota: Option<bool> = QUOTA_INDICATOR,
        /// Announcement-Order, among several.
        order: Option<u32> = ANNOUNCEMENT_ORDER,
        /// Play-Alternative: to whom.
        to: Option<PlayAlternative> = PLAY_ALTERNATIVE,
        /// Privacy-Indicator.
        private: Option<bool> = PRIVACY_INDICATOR,
        /// Language.
        language: Option<Arc<str>> = LANGUAGE,
    }
}

enumerated! {
    /// Play-Alternative.
    pub enum PlayAlternative {
        /// The user who is served.
        Served = 0,
        /// The other side.
        Remote = 1,
    }
}

group! {
    /// Variable-Part.
    pub struct VariablePart {
        /// Variable-Part-Order.
        order: Option<u32> = VARIABLE_PART_ORDER,
        /// Variable-Part-Type.
        kind: Option<VariablePartType> = VARIABLE_PART_TYPE,
        /// Variable-Part-Value, in the form of the type.
        value: Option<Arc<str>> = VARIABLE_PART_VALUE,
    }
}

enumerated! {
    /// Variable-Part-Type.
    pub enum VariablePartType {
        /// Integer.
        Integer = 0,
        /// Digits, read one by one.
        Number = 1,
        /// HHMM.
        Time = 2,
        /// YYYYMMDD.
        Date = 3,
        /// AAAAAABB.
        Currency = 4,
    }
}
