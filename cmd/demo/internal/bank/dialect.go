package bank

// dialect is what the two databases say differently.
type dialect struct {
	id    string // the type of a primary key of 64 bits; SQLite's has no index beside its table
	lock  string // ends a SELECT whose rows are to be changed
	moved string // a JSON text $1 of transfers, [[id, payer, payee, amount], …], as rows
	held  string // a JSON text $1 of balances, [[id, balance], …], as rows
}

var (
	inSQLite = dialect{
		id:    "INTEGER",
		moved: "SELECT value->>0, value->>1, value->>2, value->>3 FROM json_each($1)",
		held:  "SELECT value->>0 AS id, value->>1 AS balance FROM json_each($1)",
	}
	inPostgres = dialect{
		id:    "BIGINT",
		lock:  "FOR UPDATE",
		moved: "SELECT (v->>0)::bigint, (v->>1)::bigint, (v->>2)::bigint, (v->>3)::bigint FROM jsonb_array_elements($1::jsonb) AS v",
		held:  "SELECT (v->>0)::bigint AS id, (v->>1)::bigint AS balance FROM jsonb_array_elements($1::jsonb) AS v",
	}
)

// schema makes the tables. The version of the book of all wallets is what keeps two processes that have read it from overwriting
// one another.
func (d dialect) schema() []string {
	return []string{
		"CREATE TABLE wallets (id " + d.id + " PRIMARY KEY, balance BIGINT NOT NULL CHECK (balance >= 0))",
		"CREATE TABLE transfers (id " + d.id + " PRIMARY KEY, payer BIGINT NOT NULL, payee BIGINT NOT NULL, amount BIGINT NOT NULL)",
		"CREATE TABLE books (name TEXT PRIMARY KEY, version BIGINT NOT NULL)",
		"INSERT INTO books (name, version) VALUES ('" + bookName + "', 1)",
	}
}

// bookName is the book of all wallets.
const bookName = "all"

// texts are the statements. Each names its parameters in the order of their numbers, as SQLite wants it.
func (d dialect) texts() [statements]string {
	return [statements]string{
		lockTwo:    "SELECT id, balance FROM wallets WHERE id IN ($1, $2) ORDER BY id " + d.lock,
		changeTwo:  "UPDATE wallets SET balance = balance + CASE WHEN id = $1 THEN -CAST($2 AS BIGINT) ELSE CAST($2 AS BIGINT) END WHERE id IN ($1, $3)",
		noteOne:    "INSERT INTO transfers (id, payer, payee, amount) VALUES ($1, $2, $3, $4)",
		version:    "SELECT version FROM books WHERE name = $1",
		balances:   "SELECT id, balance FROM wallets",
		newVersion: "UPDATE books SET version = version + 1 WHERE name = $1 AND version = $2",
		noteMany:   "INSERT INTO transfers (id, payer, payee, amount) " + d.moved,
		changeMany: "UPDATE wallets SET balance = held.balance FROM (" + d.held + ") AS held WHERE wallets.id = held.id",
	}
}

// The statements, by their place.
const (
	lockTwo = iota
	changeTwo
	noteOne
	version
	balances
	newVersion
	noteMany
	changeMany
	statements
)
