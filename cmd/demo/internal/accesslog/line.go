package accesslog

import (
	"bytes"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"
)

// MaxClient bounds a client's name in bytes; a longer one makes its line malformed.
const MaxClient = 512

// timeLayout is Apache's %t without its brackets, which is what nginx calls $time_local.
const timeLayout = "02/Jan/2006:15:04:05 -0700"

// Entry is what a line says about who asked and when.
type Entry struct {
	Client  string    // the first field as written: an IPv4 or IPv6 address, or a host name
	Time    time.Time // in UTC, whole seconds: the format carries no more
	Request string    // the request line as written, with its escapes
	Status  int       // of the answer, 100 to 999
	// Cut reports that a quoted field behind the size never closes. Servers cut long fields off; client and
	// time stand before the damage, so the request still counts.
	Cut bool
}

// ParseLine reads one line of the common or the combined format, without its line ending:
//
//	192.0.2.7 - frank [10/Oct/2000:13:55:36 -0700] "GET /a.gif HTTP/1.0" 200 2326
//	192.0.2.7 - frank [10/Oct/2000:13:55:36 -0700] "GET /a.gif HTTP/1.0" 200 2326 "referer" "agent"
//
// A quoted field may hold quotes escaped by a backslash. What follows the size may be anything, because many servers append
// fields of their own.
func ParseLine(line []byte) (Entry, error) {
	var e Entry
	client, rest, ok := bytes.Cut(line, []byte(" "))
	switch {
	case !ok || len(client) == 0:
		return e, errors.New("no client at the start")
	case len(client) > MaxClient:
		return e, fmt.Errorf("client of %d bytes, at most %d are taken", len(client), MaxClient)
	case !utf8.Valid(client):
		return e, errors.New("client is not UTF-8")
	}
	var err error
	if rest, err = skipIdentity(rest); err != nil {
		return e, err
	}
	if e.Time, rest, err = parseTime(rest); err != nil {
		return e, err
	}
	if rest, ok = bytes.CutPrefix(rest, []byte(` "`)); !ok {
		return e, errors.New("no quoted request after the time")
	}
	request := rest
	if rest, ok = skipQuoted(rest); !ok {
		return e, errors.New("the quoted request never closes")
	}
	e.Request = string(request[:len(request)-len(rest)-1])
	if e.Status, rest, err = parseStatus(rest); err != nil {
		return e, err
	}
	if rest, err = skipSize(rest); err != nil {
		return e, err
	}
	e.Client, e.Cut = string(client), !quotesClose(rest)
	return e, nil
}

// skipIdentity drops the ident and user fields and returns what starts with the time's bracket. A user's name may hold
// spaces and brackets, so its end is the first bracket that a space precedes and a digit follows.
func skipIdentity(b []byte) ([]byte, error) {
	_, user, ok := bytes.Cut(b, []byte(" "))
	if !ok {
		return nil, errors.New("no user after the client")
	}
	for from := 0; ; {
		i := bytes.Index(user[from:], []byte(" ["))
		if i < 0 {
			return nil, errors.New("no time in brackets")
		}
		at := from + i + 1
		if at+1 < len(user) && '0' <= user[at+1] && user[at+1] <= '9' {
			if at == 1 {
				return nil, errors.New("no user before the time")
			}
			return user[at:], nil
		}
		from = at
	}
}

func parseTime(b []byte) (time.Time, []byte, error) {
	end := bytes.IndexByte(b, ']')
	if end < 0 {
		return time.Time{}, nil, errors.New("the time's bracket never closes")
	}
	at, err := time.Parse(timeLayout, string(b[1:end]))
	if err != nil || end != 1+len(timeLayout) { // Parse alone takes one-digit hours and fractions too
		return time.Time{}, nil, fmt.Errorf("time %q is not like %q", b[1:end], timeLayout)
	}
	return at.UTC(), b[end+1:], nil // a zone of its own for every entry would cost memory
}

// skipQuoted returns what follows the quote that closes b, and whether there is one.
func skipQuoted(b []byte) ([]byte, bool) {
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return b[i+1:], true
		}
	}
	return nil, false
}

func parseStatus(b []byte) (int, []byte, error) {
	if len(b) < 4 || b[0] != ' ' {
		return 0, nil, errors.New("no status after the request")
	}
	status := 0
	for _, c := range b[1:4] {
		if c < '0' || c > '9' {
			return 0, nil, fmt.Errorf("status %q is not three digits", b[1:4])
		}
		status = 10*status + int(c-'0')
	}
	if status < 100 {
		return 0, nil, fmt.Errorf("status %q is below 100", b[1:4])
	}
	return status, b[4:], nil
}

// skipSize drops the answer's size, digits or "-".
func skipSize(b []byte) ([]byte, error) {
	b, ok := bytes.CutPrefix(b, []byte(" "))
	if !ok {
		return nil, errors.New("no size after the status")
	}
	size, _, _ := bytes.Cut(b, []byte(" "))
	if !bytes.Equal(size, []byte("-")) {
		if len(size) == 0 || len(bytes.Trim(size, "0123456789")) > 0 {
			return nil, fmt.Errorf("size %.20q is not a number or \"-\"", size)
		}
	}
	return b[len(size):], nil
}

// quotesClose reports whether every quoted field in b ends.
func quotesClose(b []byte) bool {
	for {
		i := bytes.IndexByte(b, '"')
		if i < 0 {
			return true
		}
		var ok bool
		if b, ok = skipQuoted(b[i+1:]); !ok {
			return false
		}
	}
}
