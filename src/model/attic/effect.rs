//! What two looks at a database mean: which tables, columns, rows and positions a script between them took away.
