package main

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/penstock-go/penstock/cmd/demo/internal/strict"
)

const (
	// backlog is how many background requests every user always has open: more than the API allows in two windows.
	backlog = 24
	// interactiveShare is the part of the API's allowance that a user's interactive requests want on average.
	interactiveShare = 0.3
	// startSpread is how long it takes until every user's backlog is open: a thousand requests at once are a stampede.
	startSpread = 300 * time.Millisecond
)

// user is one key of the API and what it wants: backlog requests open at all times, and some more at given moments.
type user struct {
	key         string
	backlog     time.Duration   // when it opens its backlog
	interactive []time.Duration // in order; both count from the start
}

// demand draws what n users want during d. The same seed draws the same; every contestant meets the same.
func demand(seed uint64, n int, rule strict.Rule, d time.Duration) []user {
	random := rand.New(rand.NewPCG(seed, 0))
	gap := float64(rule.Per) / (interactiveShare * float64(rule.Events)) // mean; exponential gaps make the moments independent
	users := make([]user, n)
	for i := range users {
		users[i].key = fmt.Sprintf("user-%03d", i+1)
		users[i].backlog = time.Duration(random.Int64N(int64(startSpread)))
		for at := random.ExpFloat64() * gap; at < float64(d); at += random.ExpFloat64() * gap {
			users[i].interactive = append(users[i].interactive, time.Duration(at))
		}
	}
	return users
}
