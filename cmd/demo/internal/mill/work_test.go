package mill

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestWorkIsAChainOfSums: no round can be left out without another result.
func TestWorkIsAChainOfSums(t *testing.T) {
	data := make([]byte, block)
	for rounds := 1; rounds <= 3; rounds++ {
		sum := sha256.Sum256(data)
		copy(data, sum[:])
		got, err := Work(rounds).Do(t.Context())
		require.NoError(t, err)
		assert.Equal(t, hex.EncodeToString(sum[:]), got)
	}
}

func TestWorkEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Work(1 << 40).Do(ctx) // days
	assert.ErrorIs(t, err, context.Canceled)
}

func TestCalibrate(t *testing.T) {
	assert.EqualValues(t, 1, Calibrate(0), "no request is for nothing")
	assert.Greater(t, Calibrate(time.Hour), Work(1000))
}
