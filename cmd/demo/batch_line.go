package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/penstock-go/penstock/cmd/demo/internal/bank"
)

// line is a teller's connection to a server. It is made when it is needed, and again after a failure. A client of net/http would
// hand each request and each answer over to goroutines of the connection; the tellers share the server's cores, and a request
// would cost more in the teller than in the server.
type line struct {
	url  *url.URL
	conn net.Conn // nil: none
	out  *bufio.Writer
	in   *bufio.Reader
}

func (l *line) open() error {
	if l.conn != nil {
		return nil
	}
	conn, err := net.DialTimeout("tcp", l.url.Host, overtime)
	if err != nil {
		return err
	}
	l.conn, l.out, l.in = conn, bufio.NewWriter(conn), bufio.NewReader(conn)
	return nil
}

func (l *line) close() {
	if l.conn != nil {
		_ = l.conn.Close()
		l.conn = nil
	}
}

// send sends a transfer and says what became of it. After a failure it is not known, and the connection is closed.
func (l *line) send(t bank.Transfer) (became fate, err error) {
	if err := l.open(); err != nil {
		return failed, err
	}
	if became, err = l.exchange(t); became == failed {
		l.close()
	}
	return became, err
}

func (l *line) exchange(t bank.Transfer) (fate, error) {
	text, err := json.Marshal(t)
	if err != nil {
		return failed, err
	}
	if err := l.conn.SetDeadline(time.Now().Add(overtime)); err != nil {
		return failed, err
	}
	request := http.Request{
		Method: http.MethodPost, URL: l.url, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(bytes.NewReader(text)), ContentLength: int64(len(text)),
	}
	if err := request.Write(l.out); err != nil {
		return failed, err
	}
	if err := l.out.Flush(); err != nil {
		return failed, err
	}
	answer, err := http.ReadResponse(l.in, &request)
	if err != nil {
		return failed, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body) // to its end: the connection is used again
	switch {
	case err != nil:
		return failed, err
	case answer.StatusCode == http.StatusConflict:
		return refused, nil
	case answer.StatusCode != http.StatusOK:
		return failed, fmt.Errorf("the server answered %s: %.200s", answer.Status, bytes.TrimSpace(body))
	}
	var r receipt
	if err := json.Unmarshal(body, &r); err != nil {
		return failed, err
	}
	if r.Left < 0 {
		return failed, fmt.Errorf("the server let a payer have %d", r.Left)
	}
	return moved, nil
}
