package store

import (
	"fmt"
	"math"

	"github.com/penstock-go/penstock/actors/stat"
)

// Merge is what becomes of a count when another one comes for the same key.
type Merge int

const (
	Sum  Merge = iota // they are added, up to the ends of int64
	Max               // the larger one stays
	Last              // the one that was committed last stays
)

func (m Merge) String() string {
	switch m {
	case Sum:
		return "Sum"
	case Max:
		return "Max"
	case Last:
		return "Last"
	}
	return fmt.Sprintf("Merge(%d)", int(m))
}

// Kind is what a [stat.Keeper] says of a table with this Merge.
func (m Merge) Kind() stat.Kind {
	switch m {
	case Max:
		return stat.KindMax
	case Last:
		return stat.KindLast
	}
	return stat.KindSum
}

// Of is what becomes of the stored count when n comes.
func (m Merge) Of(stored, n int64) int64 {
	switch {
	case m == Max:
		return max(stored, n)
	case m == Last:
		return n
	case n > 0 && stored > math.MaxInt64-n:
		return math.MaxInt64
	case n < 0 && stored < math.MinInt64-n:
		return math.MinInt64
	}
	return stored + n
}

// sql is the same as Of, in the SQL that PostgreSQL and SQLite share: an expression of the value column of a row that is
// there, whose table is called c, and of the same column of the row that comes. A NULL is no count yet.
func (m Merge) sql(column string) string {
	n := "excluded." + column
	switch m {
	case Max:
		return fmt.Sprintf("CASE WHEN c.%s > %s THEN c.%[1]s ELSE %[2]s END", column, n)
	case Last:
		return n
	}
	// Each branch is reached only where its subtraction cannot overflow: nested CASEs promise that, AND does not. The lowest
	// integer has no literal that both databases take for an integer.
	stored := fmt.Sprintf("coalesce(c.%s, 0)", column)
	return fmt.Sprintf("CASE WHEN %[1]s > 0 THEN CASE WHEN %[2]s > 9223372036854775807 - %[1]s THEN 9223372036854775807 ELSE %[2]s + %[1]s END"+
		" WHEN %[2]s < (-9223372036854775807 - 1) - %[1]s THEN (-9223372036854775807 - 1) ELSE %[2]s + %[1]s END", n, stored)
}
