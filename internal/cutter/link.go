package cutter

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
)

// maxMessage is how long a message may be: PostgreSQL's own bound.
const maxMessage = 1 << 30

// link is one client's connection to the server.
type link struct {
	proxy          *Proxy
	client, server net.Conn
	statements     map[string]bool // prepared statements by name: is it a COMMIT?
	portals        map[string]bool // portals by name: is it a COMMIT's?

	mu struct {
		sync.Mutex
		asked    int // messages that the server answers with ReadyForQuery
		answered int // of these
		commit   int // which of them is the COMMIT's that is to be cut; 0 is none
	}
}

func newLink(p *Proxy, client, server net.Conn) *link {
	return &link{proxy: p, client: client, server: server, statements: make(map[string]bool), portals: make(map[string]bool)}
}

// run passes on what both sides say, until one is gone or the link is cut.
func (l *link) run() {
	var answers sync.WaitGroup
	answers.Go(func() {
		_ = l.answers()
		_ = l.client.Close()
		_ = l.server.Close()
	})
	_ = l.questions()
	_ = l.client.Close()
	_ = l.server.Close()
	answers.Wait()
}

var errCut = errors.New("cutter: cut")

// questions passes on what the client says.
func (l *link) questions() error {
	in := bufio.NewReader(l.client)
	if err := l.startup(in); err != nil {
		return err
	}
	for {
		kind, err := in.ReadByte()
		if err != nil {
			return err
		}
		m, err := message(in, kind)
		if err != nil {
			return err
		}
		if l.isCommit(kind, m) {
			switch l.proxy.draw() {
			case Before:
				return errCut
			case After:
				l.mu.Lock()
				l.mu.commit = l.mu.asked + 1
				l.mu.Unlock()
			}
		}
		if kind == 'Q' || kind == 'S' || kind == 'F' { // Query, Sync, FunctionCall
			l.ask()
		}
		if _, err := l.server.Write(m); err != nil {
			return err
		}
	}
}

// startup passes on the startup message, or what comes instead of it: those have no type. Who asks for encryption is told that
// there is none.
func (l *link) startup(in *bufio.Reader) error {
	const (
		encryptTLS = 1234<<16 | 5679
		encryptGSS = 1234<<16 | 5680
	)
	for {
		m, err := message(in, 0)
		if err != nil {
			return err
		}
		if version := binary.BigEndian.Uint32(m[4:]); version == encryptTLS || version == encryptGSS {
			if _, err := l.client.Write([]byte{'N'}); err != nil {
				return err
			}
			continue
		}
		l.ask()
		_, err = l.server.Write(m)
		return err
	}
}

// ask notes a message that will be answered with ReadyForQuery.
func (l *link) ask() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mu.asked++
}

// isCommit reports whether a message makes the server commit, and keeps account of what is prepared.
func (l *link) isCommit(kind byte, m []byte) bool {
	text := m[5:]
	next := func() string {
		s, rest, _ := bytes.Cut(text, []byte{0})
		text = rest
		return string(s)
	}
	switch kind {
	case 'Q':
		return commits(next())
	case 'P': // Parse: statement, query
		l.statements[next()] = commits(next())
	case 'B': // Bind: portal, statement
		l.portals[next()] = l.statements[next()]
	case 'E': // Execute: portal
		return l.portals[next()]
	}
	return false
}

func commits(query string) bool {
	word := strings.ToLower(strings.Trim(query, " \t\r\n;"))
	return word == "commit" || word == "end" || strings.HasPrefix(word, "commit ")
}

// answers passes on what the server says, up to the answer to a COMMIT that is to be cut. That one is read to its end, so
// that the server is known to have done what it was asked.
func (l *link) answers() error {
	in := bufio.NewReader(l.server)
	for {
		kind, err := in.ReadByte()
		if err != nil {
			return err
		}
		l.mu.Lock()
		cut := l.mu.commit > 0 && l.mu.answered+1 == l.mu.commit
		l.mu.Unlock()
		m, err := message(in, kind)
		if err != nil {
			return err
		}
		if kind == 'Z' { // ReadyForQuery
			if cut {
				l.proxy.cut()
				return errCut
			}
			l.mu.Lock()
			l.mu.answered++
			l.mu.Unlock()
		}
		if cut {
			continue
		}
		if _, err := l.client.Write(m); err != nil {
			return err
		}
	}
}

// message reads the rest of a message and returns all of it. Its type is 0 if it has none.
func message(in *bufio.Reader, kind byte) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n < 4 || n > maxMessage || kind == 0 && n < 8 {
		return nil, errors.New("cutter: this is not PostgreSQL's protocol")
	}
	m := make([]byte, 0, n+1)
	if kind != 0 {
		m = append(m, kind)
	}
	m = append(m, head[:]...)
	at := len(m)
	m = m[:at+int(n)-4]
	_, err := io.ReadFull(in, m[at:])
	return m, err
}
