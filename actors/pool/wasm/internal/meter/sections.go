package meter

// Kinds of what is imported and exported.
const (
	functionKind = iota
	tableKind
	memoryKind
	globalKind
)

var kindNames = [...]string{"a function", "a table", "a memory", "a global"}

// types adds the type of Pause.
func (m *module) types(w *rewriter) {
	n := w.grow(1)
	for i := uint32(0); i < n && w.err == nil; i++ {
		if form := w.byte(); form != 0x60 {
			w.fail("type %d begins with %#x; a function's begins with 0x60", i, form)
		}
		m.params = append(m.params, int(w.valueTypes()))
		w.valueTypes()
	}
	w.keep(w.at)
	w.out = append(w.out, 0x60, 1, i32Type, 0)
}

// valueTypes passes over a vector of types, and returns how many.
func (r *reader) valueTypes() uint32 {
	return r.each(func() {
		switch t := r.byte(); t {
		case i32Type, i64Type, f32Type, f64Type, v128Type, funcrefType, externrefType:
		default:
			r.fail("there is no type %#x in WebAssembly 2.0", t)
		}
	})
}

// imports adds Pause. Nothing but functions can be imported.
func (m *module) imports(w *rewriter) {
	n := w.grow(1)
	for i := uint32(0); i < n && w.err == nil; i++ {
		from, name := w.sized(), w.sized()
		switch kind := w.byte(); {
		case kind == functionKind:
			m.funcs = append(m.funcs, w.u32())
		case int(kind) < len(kindNames):
			w.fail("it imports %s, %s.%s; only functions can be given", kindNames[kind], from, name)
		default:
			w.fail("import %d is of kind %d, which there is not in WebAssembly 2.0", i, kind)
		}
	}
	w.keep(w.at)
	m.imported = uint32(len(m.funcs))
	w.out = appendSized(w.out, []byte(Host))
	w.out = appendSized(w.out, []byte(Pause))
	w.out = appendU32(append(w.out, functionKind), uint32(len(m.params)))
}

// tables has each table stay as it begins.
func (m *module) tables(w *rewriter) {
	var entries uint64
	w.each(func() {
		if t := w.byte(); t != funcrefType && t != externrefType {
			w.fail("there are no tables of type %#x in WebAssembly 2.0", t)
		}
		w.keep(w.at)
		limits := w.byte()
		least := w.u32()
		switch most := least; limits {
		case 1:
			if most = w.u32(); most < least {
				w.fail("a table begins with %d entries, and may have %d", least, most)
			}
		case 0:
		default:
			w.fail("a table's limits begin with %#x", limits)
		}
		w.out = appendU32(appendU32(append(w.out, 1), least), least)
		w.drop()
		if entries += uint64(least); entries > maxEntries {
			w.fail("its tables have more than %d entries", maxEntries)
		}
	})
}

// memory tells how large it is, and leaves out how large it may be.
func (m *module) memory(w *rewriter) {
	const page, most = 1 << 16, 1 << 16
	n := w.each(func() {
		w.keep(w.at)
		limits := w.byte()
		least := w.u32()
		m.mem = Memory{Has: true, Least: int64(least) * page, Most: most * page}
		switch limits {
		case 1:
			n := w.u32()
			m.mem.Most = int64(n) * page
			if n < least || n > most {
				w.fail("its memory begins with %d pages, and may have %d", least, n)
			}
		case 0:
		default:
			w.fail("its memory's limits begin with %#x; shared memory is not in WebAssembly 2.0", limits)
		}
		w.out = appendU32(append(w.out, 0), least)
		w.drop()
	})
	if n > 1 {
		w.fail("it has %d memories; WebAssembly 2.0 has one", n)
	}
}

// addGlobals adds what is left of the slice, and the size of the stack.
func (m *module) addGlobals(w *rewriter) {
	m.globals = w.grow(2)
	for i := uint32(0); i < m.globals && w.err == nil; i++ {
		w.byte() // its type
		w.byte() // whether it is mutable
		m.expression(w)
	}
	w.keep(w.at)
	w.out = append(appendI32(append(w.out, i32Type, 1, opI32Const), slice), opEnd)
	w.out = append(appendI32(append(w.out, i32Type, 1, opI32Const), 0), opEnd)
}

func (m *module) exports(w *rewriter) {
	w.each(func() {
		w.sized()
		switch w.byte() {
		case functionKind:
			m.function(w)
		case globalKind:
			m.global(&w.reader)
		default:
			w.u32()
		}
	})
}

// global reads the number of a global that was there before.
func (m *module) global(r *reader) {
	if i := r.u32(); i >= m.globals {
		r.fail("there is no global %d", i)
	}
}

// element copies a segment of a table's entries. Its flags: 1, it is not put into a table by itself, or with 2 never; 2,
// it says of which table or what kind; 4, its entries are expressions.
func (m *module) element(w *rewriter) {
	flags := w.u32()
	if flags > 7 {
		w.fail("an element segment has the flags %#x", flags)
	}
	if flags&1 == 0 {
		if flags&2 != 0 {
			w.u32() // the table
		}
		m.expression(w)
	}
	if flags&3 != 0 {
		w.byte() // their kind or type
	}
	w.each(func() {
		if flags&4 != 0 {
			m.expression(w)
		} else {
			m.function(w)
		}
	})
}

// data copies a segment of the memory. Its flags: 1, it is not put there by itself; 2, it says in which memory.
func (m *module) data(w *rewriter) {
	flags := w.u32()
	switch flags {
	case 0, 1:
	case 2:
		w.u32()
	default:
		w.fail("a data segment has the flags %#x", flags)
	}
	if flags != 1 {
		m.expression(w)
	}
	w.sized()
}

// expression copies a constant expression.
func (m *module) expression(w *rewriter) {
	for w.err == nil {
		switch op := w.byte(); op {
		case opEnd:
			return
		case opRefFunc:
			m.function(w)
		default:
			m.operands(&w.reader, op)
		}
	}
}

// rename moves the functions' names. What else is named is left out, and so is everything if it cannot be read.
func (m *module) rename() []byte {
	r := &reader{b: m.names}
	for r.more() {
		kind, section := r.byte(), r.sized()
		if kind != 1 || r.err != nil {
			continue
		}
		w := &rewriter{reader: reader{b: section}}
		w.each(func() {
			w.keep(w.at)
			w.out = appendU32(w.out, m.moved(w.u32()))
			w.drop()
			w.sized()
		})
		if out, err := w.rest(); err == nil {
			return appendSized([]byte{1}, out)
		}
	}
	return nil
}
