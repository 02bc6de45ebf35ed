package meter

import "fmt"

// reader reads the binary format. After its first error it is at its end, and all it returns is zero.
type reader struct {
	b   []byte
	at  int
	err error
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf(format, args...)
	}
	r.at = len(r.b)
}

func (r *reader) more() bool { return r.at < len(r.b) }

func (r *reader) byte() byte {
	if !r.more() {
		r.fail("it ends too early")
		return 0
	}
	r.at++
	return r.b[r.at-1]
}

func (r *reader) take(n uint32) []byte {
	if uint64(n) > uint64(len(r.b)-r.at) {
		r.fail("it ends too early")
		return nil
	}
	r.at += int(n)
	return r.b[r.at-int(n) : r.at]
}

// sized reads bytes that are preceded by their number.
func (r *reader) sized() []byte { return r.take(r.u32()) }

func (r *reader) u32() uint32 {
	var n uint32
	for shift := 0; shift < 35; shift += 7 {
		b := r.byte()
		if shift == 28 && b > 0x0f {
			break
		}
		n |= uint32(b&0x7f) << shift
		if b < 0x80 {
			return n
		}
	}
	r.fail("a number of 32 bits is too long")
	return 0
}

// leb passes over a number of any width and sign. Whether it is too wide is left to whoever compiles the module.
func (r *reader) leb() {
	for range 10 {
		if r.byte() < 0x80 {
			return
		}
	}
	r.fail("a number of 64 bits is too long")
}

// each reads a vector.
func (r *reader) each(read func()) (n uint32) {
	n = r.u32()
	for i := uint32(0); i < n && r.err == nil; i++ {
		read()
	}
	return n
}

// rewriter copies what it reads, but for what is written instead.
type rewriter struct {
	reader
	out  []byte
	kept int // so much of what was read is in out, or not wanted there
}

// keep copies what was read up to a place.
func (w *rewriter) keep(to int) {
	if w.err == nil {
		w.out = append(w.out, w.b[w.kept:to]...)
		w.kept = to
	}
}

// drop leaves out what has been read since the last keep.
func (w *rewriter) drop() { w.kept = w.at }

// grow reads how many a vector has, and writes how many it has with n more.
func (w *rewriter) grow(n uint32) (was uint32) {
	w.keep(w.at)
	was = w.u32()
	w.out = appendU32(w.out, was+n)
	w.drop()
	return was
}

// rest copies what has been read, and must be everything.
func (w *rewriter) rest() ([]byte, error) {
	if w.more() {
		w.fail("there is more in it than it says")
	}
	w.keep(w.at)
	return w.out, w.err
}

func appendU32(to []byte, n uint32) []byte {
	for n >= 0x80 {
		to = append(to, byte(n)|0x80)
		n >>= 7
	}
	return append(to, byte(n))
}

func appendSized(to, b []byte) []byte { return append(appendU32(to, uint32(len(b))), b...) }

// appendI32 writes a constant that is not negative in five bytes, so that putI32 can write another one in its place.
func appendI32(to []byte, n uint32) []byte {
	to = append(to, 0, 0, 0, 0, 0)
	putI32(to[len(to)-5:], n)
	return to
}

func putI32(at []byte, n uint32) {
	for i := range 4 {
		at[i] = byte(n>>(7*i)) | 0x80
	}
	at[4] = byte(n>>28) & 0x07
}
