//! The verbs against a real server.
