// Package cutter is a TCP proxy in front of PostgreSQL that cuts connections around a COMMIT, for tests: before it reaches the
// server, or after the server has answered it and before the client knows.
//
//	proxy, err := cutter.Listen("127.0.0.1:5432")
//	pool, err := pgxpool.New(ctx, "postgres://postgres@"+proxy.Addr()+"/test?sslmode=disable")
//	proxy.Arm(cutter.After) // the next COMMIT is done, and its client does not hear of it
//
// It understands as much of the protocol as it needs: where messages begin, what is a COMMIT (as a simple query or as a prepared
// statement), and which answer is the COMMIT's. Clients that ask for encryption are told that there is none.
package cutter
