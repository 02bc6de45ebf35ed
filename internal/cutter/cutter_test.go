package cutter

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

const server = "127.0.0.1:5432"

// connect opens a connection through a proxy, which is closed with the test.
func connect(t *testing.T, p *Proxy) *pgx.Conn {
	conn, err := pgx.Connect(t.Context(), "postgres://postgres@"+p.Addr()+"/test?sslmode=prefer")
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func newProxy(t *testing.T) *Proxy {
	direct, err := net.Dial("tcp", server)
	if err != nil {
		t.Skip("needs a server: PostgreSQL at localhost:5432")
	}
	_ = direct.Close()
	p, err := Listen(server)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p
}

// begin begins a transaction and returns its ID.
func begin(t *testing.T, conn *pgx.Conn) (id uint64) {
	_, err := conn.Exec(t.Context(), "BEGIN")
	require.NoError(t, err)
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT pg_current_xact_id()::text::bigint").Scan(&id))
	return id
}

// status is what became of a transaction.
func status(t *testing.T, p *Proxy, id uint64) (status string) {
	conn := connect(t, p)
	for status = "in progress"; status == "in progress"; { // the server has not seen yet that its client is gone
		require.NoError(t, conn.QueryRow(t.Context(), "SELECT pg_xact_status($1::text::xid8)", fmt.Sprint(id)).Scan(&status))
	}
	return status
}

// ways are the ways to say it.
var ways = map[string]func(ctx context.Context, conn *pgx.Conn) error{
	"simple": func(ctx context.Context, conn *pgx.Conn) error { _, err := conn.Exec(ctx, "COMMIT;"); return err },
	"end":    func(ctx context.Context, conn *pgx.Conn) error { _, err := conn.Exec(ctx, "end"); return err },
	"prepared": func(ctx context.Context, conn *pgx.Conn) error {
		return conn.PgConn().ExecPrepared(ctx, "c", nil, nil, nil).Read().Err
	},
	"extended": func(ctx context.Context, conn *pgx.Conn) error {
		return conn.PgConn().ExecParams(ctx, "commit work", nil, nil, nil, nil).Read().Err
	},
	"batch": func(ctx context.Context, conn *pgx.Conn) error {
		b := &pgx.Batch{}
		b.Queue("SELECT 1")
		b.Queue("COMMIT")
		return conn.SendBatch(ctx, b).Close()
	},
}

func TestCuts(t *testing.T) {
	for how, commit := range ways {
		for moment, want := range map[Moment]string{Before: "aborted", After: "committed", Never: "committed"} {
			t.Run(how+" "+moment.String(), func(t *testing.T) {
				p := newProxy(t)
				conn := connect(t, p)
				_, err := conn.Prepare(t.Context(), "c", "commit")
				require.NoError(t, err)
				id := begin(t, conn)
				p.Arm(Before)
				p.Arm(moment)
				err = commit(t.Context(), conn)
				if moment == Never {
					require.NoError(t, err)
					require.Zero(t, p.Cuts(Before)+p.Cuts(After))
				} else {
					require.Error(t, err)
					require.Equal(t, 1, p.Cuts(moment))
					require.Equal(t, 1, p.Cuts(Before)+p.Cuts(After))
				}
				require.Equal(t, want, status(t, p, id))
				again := connect(t, p) // only one was cut
				begin(t, again)
				require.NoError(t, ways["simple"](t.Context(), again))
			})
		}
	}
}

func TestOnlyCommitsAreCut(t *testing.T) {
	p := newProxy(t)
	conn := connect(t, p)
	p.Arm(After)
	for _, sql := range []string{"BEGIN", "SELECT 'commit'", "ROLLBACK", "SET application_name = 'commit'", "select 1 -- commit"} {
		_, err := conn.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	var text string
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT $1::text", "commit").Scan(&text))
	require.Zero(t, p.Cuts(After))
	begin(t, conn)
	require.Error(t, ways["simple"](t.Context(), conn))
	require.Equal(t, 1, p.Cuts(After))
}

func TestRefuse(t *testing.T) {
	p := newProxy(t)
	conn := connect(t, p)
	p.Refuse(true)
	require.Error(t, conn.Ping(t.Context()))
	_, err := pgx.Connect(t.Context(), "postgres://postgres@"+p.Addr()+"/test?sslmode=disable")
	require.Error(t, err)
	p.Refuse(false)
	require.NoError(t, connect(t, p).Ping(t.Context()))
}

func TestCloseCutsAll(t *testing.T) {
	p := newProxy(t)
	conn := connect(t, p)
	require.NoError(t, p.Close())
	require.Error(t, conn.Ping(t.Context()))
	_, err := net.Dial("tcp", p.Addr())
	require.Error(t, err)
	p.Refuse(true)
	require.NoError(t, p.Close(), "again")
}

// TestWhatIsNotPostgreSQLIsCut sends the proxy what it cannot read.
func TestWhatIsNotPostgreSQLIsCut(t *testing.T) {
	for _, sent := range [][]byte{{0, 0, 0, 1}, {0, 0, 0, 4}, {0xff, 0xff, 0xff, 0xff}, []byte("GET / HTTP/1.1\r\n\r\n")} {
		p := newProxy(t)
		c, err := net.Dial("tcp", p.Addr())
		require.NoError(t, err)
		defer c.Close()
		_, err = c.Write(sent)
		require.NoError(t, err)
		answer, _ := io.ReadAll(c) // an error if the connection was reset
		require.Empty(t, answer)
	}
}

func TestMessages(t *testing.T) {
	in, out := net.Pipe()
	go func() {
		m := binary.BigEndian.AppendUint32([]byte{'Q'}, 9)
		_, _ = out.Write(append(m, "abcd\x00rest"...))
		_ = out.Close()
	}()
	r := bufio.NewReader(in)
	kind, err := r.ReadByte()
	require.NoError(t, err)
	m, err := message(r, kind)
	require.NoError(t, err)
	require.Equal(t, "Q\x00\x00\x00\x09abcd\x00", string(m))
	_, err = message(r, 'x')
	require.Error(t, err)
}
