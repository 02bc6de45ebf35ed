package main

import (
	"fmt"
	"math/rand/v2"
)

const (
	drawnClients = 2000
	drawnPaths   = 1000
	// missingShare of the requests are answered with 404, and as many again with 304.
	missingShare = 0.04
)

// drawn is traffic that there never was: few clients and paths have most of it, as on real sites. One seed and number, one
// traffic.
type drawn struct {
	count   *plainCount
	random  *rand.Rand
	clients []string
	paths   []string
	client  *rand.Zipf
	path    *rand.Zipf
}

func newDrawn(seed, number uint64) *drawn {
	d := &drawn{count: newPlainCount(), random: rand.New(rand.NewPCG(seed, number+3))}
	for i := range drawnClients {
		d.clients = append(d.clients, fmt.Sprintf("2001:db8::%x", i+1))
	}
	d.paths = append(d.paths, "/")
	for i := range drawnPaths - 1 {
		d.paths = append(d.paths, fmt.Sprintf("/articles/%d", i+1))
	}
	d.client = rand.NewZipf(d.random, 1.1, 8, drawnClients-1)
	d.path = rand.NewZipf(d.random, 1.2, 4, drawnPaths-1)
	return d
}

func (d *drawn) take(into []request) (int, error) {
	for i := range into {
		r := request{client: d.clients[d.client.Uint64()], hit: hit{path: d.paths[d.path.Uint64()], status: 200}}
		switch p := d.random.Float64(); {
		case p < missingShare:
			r.hit.status = 404
		case p < 2*missingShare:
			r.hit.status = 304
		}
		if err := d.count.note(r); err != nil {
			return i, err
		}
		into[i] = r
	}
	return len(into), nil
}
