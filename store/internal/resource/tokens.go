package resource

import (
	"crypto/rand"
	"slices"
	"strings"
)

const (
	maxTokens  = 8
	tokenBytes = 13 // of base32: 65 bits. There are few that it must differ from
)

// tokens are those that a value's row has after a save, which are the save's own and the last ones before it.
func tokens(loaded string) (own, all string) {
	own = rand.Text()[:tokenBytes]
	list := append([]string{own}, strings.Fields(loaded)...)
	return own, strings.Join(list[:min(len(list), maxTokens)], " ")
}

// verdict is what a row's tokens say of a save.
type verdict int

const (
	unclear verdict = iota
	stored
	notStored
)

// judge tells from a row's tokens whether a save's own is among them. If it is not, they must go back to before the save, or it
// may have been there.
func judge(own, loaded, now string) verdict {
	list, before := strings.Fields(now), strings.Fields(loaded)
	switch {
	case slices.Contains(list, own):
		return stored
	case len(before) > 0 && slices.Contains(list, before[0]), len(before) == 0 && len(list) < maxTokens:
		return notStored
	}
	return unclear
}
