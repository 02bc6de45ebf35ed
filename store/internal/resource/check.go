package resource

import (
	"errors"
	"fmt"
	"strings"
)

// validate names every bad field and the values it takes, and counts the others' values.
func (e *Engine[K, R]) validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) bool {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
		return ok
	}
	check(strings.TrimSpace(e.of.Select) != "", "Select is empty; it takes a query with a parameter for each of the key's values")
	check(strings.TrimSpace(e.of.Update) != "", "Update is empty; it takes a statement that returns the new version")
	made := check(e.of.New != nil, "New is nil, and a %T is no pointer; it takes a function that makes one", *new(R))
	made = check(e.of.Version != nil, "Version is nil; it takes a function that returns where a value keeps its version") && made
	scans := check(e.of.Scan != nil, "Scan is nil; it takes a function that returns where a value keeps its columns")
	var key K
	var value R
	e.Counts.Keys, errs = e.count(errs, "Key", func() []any { return e.of.Key(key) })
	check(e.Counts.Keys != 0, "Key gives no values for the zero key; it takes a function that gives one or more")
	if !made {
		return errors.Join(errs...)
	}
	if err := Protect(func() error { value = e.of.New(key); return nil }); err != nil {
		return errors.Join(append(errs, fmt.Errorf("New with the zero key: %w", err))...)
	}
	place := func(field string, is func() bool) {
		null := false
		if err := Protect(func() error { null = is(); return nil }); err != nil {
			check(false, "%s with what New makes of the zero key: %w", field, err)
		}
		check(!null, "%s returns nil for what New makes of the zero key; it takes a function that returns a place in the value", field)
	}
	place("Version", func() bool { return e.of.Version(value) == nil })
	if e.of.Tokens != nil {
		e.Counts.Tokens = 1
		place("Tokens", func() bool { return e.of.Tokens(value) == nil })
	}
	if e.of.Epoch != nil {
		e.Counts.Epoch = 1
		place("Epoch", func() bool { return e.of.Epoch(value) == nil })
	}
	if scans {
		e.Counts.Scan, errs = e.count(errs, "Scan", func() []any { return e.of.Scan(value) })
		e.Counts.Values, errs = e.count(errs, "Values", func() []any { return e.of.Values(value) })
	}
	return errors.Join(errs...)
}

func (e *Engine[K, R]) count(errs []error, field string, values func() []any) (n int, _ []error) {
	if err := Protect(func() error { n = len(values()); return nil }); err != nil {
		return -1, append(errs, fmt.Errorf("%s with the zero key: %w", field, err))
	}
	return n, errs
}

// Statement is one that the database is to be asked about.
type Statement struct {
	Field      string
	SQL        string
	Parameters int    // that it must have
	Takes      string // what they are
	Columns    int    // that it must return
	Gives      string // what they are
	Missing    string // what helps if the table has not got a column
}

// Statements are those of the resource.
func (e *Engine[K, R]) Statements() []Statement {
	c := e.Counts
	tokens, missing := "", ""
	switch {
	case c.Tokens > 0 && c.Epoch > 0:
		tokens = ", the tokens and the epoch"
	case c.Tokens > 0:
		tokens = " and the tokens"
	case c.Epoch > 0:
		tokens = " and the epoch"
	}
	if c.Epoch > 0 {
		missing = "; a table that has no column for the epoch gets one by ALTER TABLE … ADD COLUMN epoch bigint NOT NULL DEFAULT 0"
	}
	list := []Statement{
		{
			"Select", e.of.Select, c.Keys, fmt.Sprintf("%d of the key", c.Keys),
			c.row(), fmt.Sprintf("%d that Scan has places for, the version%s", c.Scan, tokens), missing,
		},
		{
			"Update", e.of.Update, c.Keys + c.Values + 1 + c.Tokens + c.Epoch, fmt.Sprintf("%d of the key, %d of Values, the version%s", c.Keys, c.Values, tokens),
			1, "the new version, by RETURNING", missing,
		},
	}
	if e.of.Insert != "" {
		list = append(list, Statement{
			"Insert", e.of.Insert, c.Keys + c.Values + c.Tokens + c.Epoch, fmt.Sprintf("%d of the key, %d of Values%s", c.Keys, c.Values, tokens),
			1, "the version, by RETURNING", missing,
		})
	}
	return list
}

// Check compares a statement with what the database says of it.
func (s Statement) Check(parameters, columns int) error {
	var errs []error
	if parameters != s.Parameters {
		errs = append(errs, fmt.Errorf("%s has %d parameters; it takes %d: %s", s.Field, parameters, s.Parameters, s.Takes))
	}
	if columns != s.Columns {
		errs = append(errs, fmt.Errorf("%s returns %d columns; it takes %d: %s", s.Field, columns, s.Columns, s.Gives))
	}
	return errors.Join(errs...)
}
