package main

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// request is what is counted of one.
type request struct {
	client string
	hit    hit
}

// hit is a key of two parts, which are columns of their own in the table.
type hit struct {
	path   string // without its query
	status int    // of the answer
}

const (
	longestPath = 512 // bytes, as a string key may have
	nonePath    = "(none)"
)

// pathOf is the path in a request line such as "GET /a?b=c HTTP/1.1". It is never empty, and always UTF-8.
func pathOf(requestLine string) string {
	fields := strings.SplitN(requestLine, " ", 3)
	if len(fields) < 2 {
		return nonePath // what was asked was no HTTP
	}
	path, _, _ := strings.Cut(fields[1], "?")
	if path = strings.ToValidUTF8(path, "\uFFFD"); path == "" {
		return nonePath
	}
	if len(path) > longestPath {
		end := longestPath
		for !utf8.RuneStart(path[end]) {
			end--
		}
		path = path[:end]
	}
	return strings.Clone(path) // the line is not to be kept for it
}

// plainCount counts requests as simply as can be, which is what the file has to come to.
type plainCount struct {
	requests int
	hits     map[hit]int64
	clients  map[string]int64
}

func newPlainCount() *plainCount {
	return &plainCount{hits: make(map[hit]int64), clients: make(map[string]int64)}
}

// note counts a request. It fails if that would take too much memory.
func (p *plainCount) note(r request) error {
	p.requests++
	p.hits[r.hit]++
	p.clients[r.client]++
	if len(p.hits)+len(p.clients) > maxClients {
		return fmt.Errorf("more than %s paths and clients: the plain count of them would not fit into memory", grouped(maxClients))
	}
	return nil
}

func (p *plainCount) add(o *plainCount) {
	p.requests += o.requests
	for k, n := range o.hits {
		p.hits[k] += n
	}
	for k, n := range o.clients {
		p.clients[k] += n
	}
}
