package etcd

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-go/penstock"
)

func TestBadConfigs(t *testing.T) {
	_, err := NewLeases(nil, Config{Prefix: "\xff"})
	require.ErrorIs(t, err, penstock.ErrInvalid)
	require.ErrorContains(t, err, "client is nil")
	require.ErrorContains(t, err, `Prefix is "\xff"; it takes up to 512 bytes of UTF-8`)
	client := connect(t, server)
	_, err = NewLeases(client, Config{Prefix: strings.Repeat("p", 513)})
	require.ErrorIs(t, err, penstock.ErrInvalid)
	l, err := NewLeases(client, Config{})
	require.NoError(t, err)
	require.Equal(t, "penstock/members/", l.members)
}
