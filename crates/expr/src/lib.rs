//! The filter language: lexer, parser, typed plan, vectorised evaluation over Arrow columns.
