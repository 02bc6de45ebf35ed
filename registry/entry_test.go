package registry

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// A room's Value says where the life lies: in itself, or in what it embeds.
func TestAnEntrysLifeIsTheOneInItsValue(t *testing.T) {
	within := &Entry[string, room]{key: "k"}
	assert.Equal(t, "k", within.Key())
	assert.Same(t, &within.Value.Life, within.Life())

	type cold struct {
		_ [100]byte
		room
	}
	type hot struct {
		_ int64
		*cold
	}
	apart := &Entry[string, hot]{Value: hot{cold: new(cold)}}
	assert.Same(t, &apart.Value.cold.room.Life, apart.Life())
}
