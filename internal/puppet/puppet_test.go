package puppet_test

import (
	"errors"
	"io"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock/internal/puppet"
)

func TestMain(m *testing.M) {
	puppet.Main(map[string]func(*puppet.Strings) error{"adder": adder, "deaf": deaf})
	os.Exit(m.Run())
}

// adder adds what it is told.
func adder(s *puppet.Strings) error {
	var sum int
	for {
		var n int
		if err := s.Hear(&n); err != nil {
			return err
		}
		if n < 0 {
			return errors.New("it is negative")
		}
		sum += n
		if err := s.Tell(sum); err != nil {
			return err
		}
	}
}

// deaf does not end with its standard input.
func deaf(*puppet.Strings) error { select {} }

func TestPuppet(t *testing.T) {
	p, err := puppet.Start("adder", 3)
	require.NoError(t, err)
	defer p.Kill()
	require.NoError(t, p.Tell(4))
	for _, want := range []int{3, 7} {
		var sum int
		require.NoError(t, p.Hear(&sum))
		require.Equal(t, want, sum)
	}
	require.NoError(t, p.Close(time.Minute))
	var sum int
	require.ErrorIs(t, p.Hear(&sum), io.EOF)
	p.Kill()
}

func TestPuppetsEnd(t *testing.T) {
	p, err := puppet.Start("adder", -1)
	require.NoError(t, err)
	<-p.Ended()
	require.ErrorContains(t, p.Close(time.Minute), "exit status 3")

	p, err = puppet.Start("deaf", 0)
	require.NoError(t, err)
	p.Kill()
	require.ErrorContains(t, p.Close(time.Minute), "killed")

	p, err = puppet.Start("nobody", 0)
	require.NoError(t, err)
	require.ErrorContains(t, p.Close(time.Minute), "exit status 3")
}
