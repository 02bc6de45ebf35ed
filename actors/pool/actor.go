package pool

// look is the actor's: it lets in whoever has its turn at the pool. Everything that must survive the actor is in the gate.
func (g *gate) look() {
	var few [4]*job
	grp := g.lock()
	ready := few[:0]
	defer func() { // also after a panic: neither the lock nor a caller may be left behind
		grp.unlock()
		for _, j := range ready {
			j.begin()
		}
	}()
	ready = g.letInWaiting(grp, ready)
}

// kill asks a pool's actor to end the jobs that which picks.
type kill struct {
	gate   *gate
	which  func(*job) bool
	cause  error
	killed chan int // room for the answer
}

// Undelivered implements supervisor.Undeliverable: a kill needs no actor, only its turn.
func (k *kill) Undelivered(error) { k.do() }

func (k *kill) do() { k.killed <- k.gate.kill(k) }

// kill ends the jobs of this pool, and of those that delegate to it.
func (g *gate) kill(k *kill) int {
	var victims []*job
	defer func() { // also after a panic
		for _, j := range victims {
			j.tell()
		}
	}()
	grp := g.lock()
	defer grp.unlock()
	for member := range grp.members {
		for j := range member.jobs.all() {
			if j.claim.through(&g.state) && k.which(j) && j.settle(killed, j.kill(k.cause)) {
				j.abort(grp)
				victims = append(victims, j)
			}
		}
	}
	return len(victims)
}
