package postgres

import (
	"fmt"

	"github.com/penstock-go/penstock/store"
)

// leaseStatements are those of a table of leases. A row is a life of a member; the one without a name is the cluster's own, whose
// epoch is the one that was drawn last. Parameters $1 to $3 are always the cluster, the name and the incarnation, as far as there are.
//
// A lease whose time has come is marked as ended before anybody takes what it owned, under its row's lock: so a renewal has come before,
// and the lease lives, or finds the mark. A mark is never taken back. So what is known to have ended may be known from an old
// snapshot; what lives is looked at anew, after the lock was waited for, by a statement of its own.
type leaseStatements struct {
	create string
	draw   string // an epoch, which also locks the cluster's row: one at a time takes, or joins
	mine   string // locks the member's row
	lapse  string // marks it, so that a clock that is set back changes nothing
	expire string // rows that are locked are being renewed: nobody waits for them
	prune  string
	look   string
	join   string // $4 µs, $5 address, $6 client, $7 call
	renew  string // the same
	take   string // $4 shards, $5 client, $6 call
	give   string // $4 shards, $5 their epochs
	leave  string // $4 address, $5 client, $6 call
}

func newLeaseStatements(table store.Name) leaseStatements {
	of := func(format string) string { return fmt.Sprintf(format, table.SQL()) }
	const (
		member  = " cluster = $1 AND name = $2 AND incarnation = $3"
		lives   = " NOT ended AND until > clock_timestamp()"
		columns = "(cluster, name, incarnation, address, until, ended, shards, epoch, client, call)"
		marked  = " WHERE (cluster, name, incarnation) IN (SELECT cluster, name, incarnation FROM %[1]s WHERE cluster = $1 AND name <> '' AND "
	)
	return leaseStatements{
		create: of(`CREATE TABLE IF NOT EXISTS %s (cluster text COLLATE "C" NOT NULL, name text COLLATE "C" NOT NULL,` +
			` incarnation text COLLATE "C" NOT NULL, address text NOT NULL, until timestamptz NOT NULL, ended boolean NOT NULL,` +
			` shards jsonb NOT NULL, epoch bigint NOT NULL, client text NOT NULL, call bigint NOT NULL, PRIMARY KEY (cluster, name, incarnation))`),
		draw: of("INSERT INTO %s AS l " + columns + " VALUES ($1, '', '', '', '-infinity', false, '{}'," +
			" (extract(epoch FROM clock_timestamp()) * 1000)::bigint, '', 0)" +
			" ON CONFLICT (cluster, name, incarnation) DO UPDATE SET epoch = greatest(l.epoch + 1, excluded.epoch)"),
		mine:   of("SELECT 1 FROM %s WHERE" + member + " AND" + lives + " FOR UPDATE"),
		lapse:  of("UPDATE %s SET ended = true, shards = '{}' WHERE" + member + " AND NOT ended AND until <= clock_timestamp()"),
		expire: of("UPDATE %[1]s SET ended = true, shards = '{}'" + marked + "NOT ended AND until <= clock_timestamp() FOR UPDATE SKIP LOCKED)"),
		prune:  of("DELETE FROM %[1]s" + marked + "ended AND until <= clock_timestamp() - $2::bigint * interval '1 microsecond' FOR UPDATE SKIP LOCKED)"),
		look: of("SELECT name, incarnation, address, shards," + lives + " FROM %s WHERE cluster = $1 AND name <> ''" +
			" AND (" + lives + " OR name = $2 AND incarnation = $3)"),
		join: of("INSERT INTO %[1]s " + columns + " SELECT $1::text, $2::text, $3::text, $5::text," +
			" clock_timestamp() + $4::bigint * interval '1 microsecond', false, '{}', 0, $6::text, $7::bigint" +
			" WHERE NOT EXISTS (SELECT FROM %[1]s WHERE cluster = $1 AND name = $2 AND NOT ended) ON CONFLICT DO NOTHING"),
		renew: of("UPDATE %s SET until = clock_timestamp() + $4::bigint * interval '1 microsecond', address = $5, client = $6, call = $7" +
			" WHERE" + member + " AND" + lives + " AND (client <> $6 OR call < $7)"),
		take: of("WITH me AS MATERIALIZED (SELECT FROM %[1]s WHERE" + member + " AND" + lives + " AND (client <> $5 OR call < $6))," +
			" owned AS MATERIALIZED (SELECT number::int FROM %[1]s, jsonb_object_keys(shards) AS number WHERE cluster = $1 AND name <> '' AND NOT ended)," +
			" free AS MATERIALIZED (SELECT DISTINCT number FROM unnest($4::int[]) AS number" +
			" WHERE EXISTS (SELECT FROM me) AND number NOT IN (SELECT number FROM owned))," +
			" drawn AS MATERIALIZED (SELECT epoch FROM %[1]s WHERE cluster = $1 AND name = '' AND incarnation = '')," +
			" taken AS (SELECT coalesce(jsonb_object_agg(number::text, epoch), '{}') AS shards FROM free, drawn)," +
			" took AS (UPDATE %[1]s AS l SET shards = l.shards || taken.shards, client = $5, call = $6 FROM taken" +
			" WHERE" + member + " AND NOT ended AND EXISTS (SELECT FROM me))" +
			" SELECT EXISTS (SELECT FROM me), taken.shards FROM taken"),
		give: of("UPDATE %s SET shards = shards - ARRAY(SELECT number FROM unnest($4::text[], $5::bigint[]) AS given (number, epoch)" +
			" WHERE (shards ->> given.number)::bigint = given.epoch) WHERE" + member + " AND NOT ended"),
		leave: of("INSERT INTO %s AS l " + columns + " VALUES ($1, $2, $3, $4, clock_timestamp(), true, '{}', 0, $5, $6)" +
			" ON CONFLICT (cluster, name, incarnation) DO UPDATE SET until = clock_timestamp(), ended = true, shards = '{}', client = $5, call = $6" +
			" WHERE NOT l.ended AND (l.client <> $5 OR l.call < $6)"),
	}
}
