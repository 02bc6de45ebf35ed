package cutter

import (
	"fmt"
	"net"
	"sync"
)

// Moment is when a connection is cut.
type Moment int

const (
	Never  Moment = iota
	Before        // the COMMIT does not reach the server
	After         // the server has answered the COMMIT; the answer does not reach the client
)

func (m Moment) String() string {
	switch m {
	case Never:
		return "Never"
	case Before:
		return "Before"
	case After:
		return "After"
	}
	return fmt.Sprintf("Moment(%d)", int(m))
}

// Proxy stands between clients and a server.
type Proxy struct {
	target   string
	listener net.Listener
	running  sync.WaitGroup

	mu struct {
		sync.Mutex
		armed  Moment
		cuts   map[Moment]int
		refuse bool
		open   map[net.Conn]struct{}
		closed bool
	}
}

// Listen starts a proxy to a server, "127.0.0.1:5432" for one, at a port of this machine that is free.
func Listen(target string) (*Proxy, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{target: target, listener: listener}
	p.mu.cuts = make(map[Moment]int)
	p.mu.open = make(map[net.Conn]struct{})
	p.running.Go(p.accept)
	return p, nil
}

// Addr is where clients connect to, as host:port.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Arm cuts the next COMMIT's connection, whichever it is on. Never takes that back.
func (p *Proxy) Arm(m Moment) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.armed = m
}

// Cuts is how many connections were cut at that moment.
func (p *Proxy) Cuts(m Moment) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mu.cuts[m]
}

// Refuse cuts all connections and closes new ones at once, until it is called with false.
func (p *Proxy) Refuse(refuse bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.refuse = refuse; refuse {
		for c := range p.mu.open {
			_ = c.Close()
		}
	}
}

// Close cuts all connections and ends the proxy. It returns when nothing of it is left. A second call does nothing.
func (p *Proxy) Close() error {
	p.mu.Lock()
	if p.mu.closed {
		p.mu.Unlock()
		p.running.Wait()
		return nil
	}
	p.mu.closed = true
	for c := range p.mu.open {
		_ = c.Close()
	}
	p.mu.Unlock()
	err := p.listener.Close()
	p.running.Wait()
	return err
}

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return // closed
		}
		p.running.Go(func() { p.serve(client) })
	}
}

// keep notes a connection, so that it can be cut. It is false, and the connection closed, if it must not be.
func (p *Proxy) keep(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.mu.closed || p.mu.refuse {
		_ = c.Close()
		return false
	}
	p.mu.open[c] = struct{}{}
	return true
}

func (p *Proxy) drop(c net.Conn) {
	p.mu.Lock()
	delete(p.mu.open, c)
	p.mu.Unlock()
	_ = c.Close()
}

func (p *Proxy) serve(client net.Conn) {
	if !p.keep(client) {
		return
	}
	defer p.drop(client)
	server, err := net.Dial("tcp", p.target)
	if err != nil || !p.keep(server) {
		return
	}
	defer p.drop(server)
	newLink(p, client, server).run()
}

// draw takes what is armed, for a COMMIT that has come. A cut Before is made now.
func (p *Proxy) draw() Moment {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.mu.armed
	p.mu.armed = Never
	if m == Before {
		p.mu.cuts[m]++
	}
	return m
}

// cut notes that a connection is cut after its COMMIT.
func (p *Proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mu.cuts[After]++
}
