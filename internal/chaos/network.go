//go:build linux

package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
)

// cut is what is done to the connections that one node has dialled to another: what one says to the other goes over these, and over no others.
type cut uint8

const (
	whole  cut = iota
	stall      // what is said stands still, and goes on later
	broken     // connections are closed, and new ones too
)

func (c cut) String() string { return [...]string{"whole", "stalled", "broken"}[c] }

// way is from one node to another.
type way struct{ from, to string }

// network stands between all nodes: each is reached through a proxy, its front.
type network struct {
	mu      sync.Mutex
	pids    map[int]string // whose process it is
	cuts    map[way]cut
	changed chan struct{} // closed when cuts are others, and made anew
	pipes   map[*pipe]struct{}
	fronts  []*front
	running sync.WaitGroup
}

func newNetwork() *network {
	return &network{pids: make(map[int]string), cuts: make(map[way]cut), changed: make(chan struct{}), pipes: make(map[*pipe]struct{})}
}

// front is where a node is reached.
type front struct {
	*network
	name     string
	listener net.Listener
	target   string
}

// open makes a front, and finds a port for the node behind it.
func (n *network) open(name string) (*front, error) {
	target, err := freeAddress()
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	f := &front{network: n, name: name, listener: l, target: target}
	n.fronts = append(n.fronts, f)
	n.running.Go(f.accept)
	return f, nil
}

// freeAddress is one that no connection is given by chance.
func freeAddress() (string, error) {
	for range 100 {
		address := fmt.Sprintf("127.0.0.1:%d", 18_000+rand.IntN(14_000))
		if l, err := net.Listen("tcp", address); err == nil {
			return address, l.Close()
		}
	}
	return "", errors.New("there is no free port")
}

// belongs says whose process it is.
func (n *network) belongs(pid int, name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.pids[pid] = name
}

// set cuts ways, or makes them whole.
func (n *network) set(c cut, ways ...way) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, w := range ways {
		n.cuts[w] = c
		for p := range n.pipes {
			if p.way == w && c == broken {
				p.close()
			}
		}
	}
	close(n.changed)
	n.changed = make(chan struct{})
}

func (n *network) close() {
	for _, f := range n.fronts {
		_ = f.listener.Close()
	}
	n.mu.Lock()
	for p := range n.pipes {
		p.close()
	}
	clear(n.cuts)
	close(n.changed)
	n.changed = make(chan struct{})
	n.mu.Unlock()
	n.running.Wait()
}

func (f *front) accept() {
	for {
		c, err := f.listener.Accept()
		if err != nil {
			return
		}
		f.running.Go(func() { f.serve(c) })
	}
}

func (f *front) serve(client net.Conn) {
	defer func() { _ = client.Close() }()
	from := f.whose(client)
	server, err := net.Dial("tcp", f.target)
	if from == "" || err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	p := &pipe{network: f.network, way: way{from, f.name}, ends: [2]net.Conn{client, server}, closed: make(chan struct{})}
	f.mu.Lock()
	ok := f.cuts[p.way] != broken
	if ok {
		f.pipes[p] = struct{}{}
	}
	f.mu.Unlock()
	if !ok {
		return
	}
	var back sync.WaitGroup
	back.Go(func() { p.pump(client, server) })
	p.pump(server, client)
	back.Wait()
	f.mu.Lock()
	delete(f.pipes, p)
	f.mu.Unlock()
}

// pipe is one connection.
type pipe struct {
	*network
	way
	ends   [2]net.Conn
	once   sync.Once
	closed chan struct{}
}

func (p *pipe) close() {
	p.once.Do(func() {
		close(p.closed)
		for _, end := range p.ends {
			_ = end.Close()
		}
	})
}

// pump passes on what one end says, unless the way is stalled.
func (p *pipe) pump(to, from net.Conn) {
	defer p.close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 && p.passes() {
			_, werr := to.Write(buffer[:n])
			err = errors.Join(err, werr)
		}
		if err != nil || n == 0 {
			return
		}
	}
}

// passes waits while the way is stalled. It is false if the pipe is closed.
func (p *pipe) passes() bool {
	for {
		p.mu.Lock()
		stalled, changed := p.cuts[p.way] == stall, p.changed
		p.mu.Unlock()
		if !stalled {
			return true
		}
		select {
		case <-changed:
		case <-p.closed:
			return false
		}
	}
}
