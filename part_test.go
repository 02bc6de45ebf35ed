package penstock

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

type attic struct{ n int }

type cellar struct{ above *attic }

func TestPartIsMadeOnce(t *testing.T) {
	s, err := New()
	require.NoError(t, err)
	defer func() { assert.NoError(t, s.Close(context.Background())) }()

	broken := errors.New("no wood")
	_, err = Part(s, func() (*attic, error) { return nil, broken })
	require.ErrorIs(t, err, broken)

	assert.Nil(t, LookupPart[attic](s), "looking makes nothing")
	made := 0
	build := func() (*attic, error) { made++; return &attic{n: made}, nil }
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			a, err := Part(s, build)
			assert.NoError(t, err)
			assert.Equal(t, 1, a.n, "after a failure the next one tries again, and then there is one")
		})
	}
	wg.Wait()

	assert.Equal(t, 1, LookupPart[attic](s).n)
	c, err := Part(s, func() (*cellar, error) { // one part may stand on another
		a, err := Part(s, build)
		return &cellar{above: a}, err
	})
	require.NoError(t, err)
	assert.Equal(t, 1, c.above.n)

	other, err := New()
	require.NoError(t, err)
	defer func() { assert.NoError(t, other.Close(context.Background())) }()
	a, err := Part(other, build)
	require.NoError(t, err)
	assert.Equal(t, 2, a.n, "each system has its own")
}
