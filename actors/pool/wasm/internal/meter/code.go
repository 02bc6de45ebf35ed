package meter

// Types of values.
const (
	i32Type       = 0x7f
	i64Type       = 0x7e
	f32Type       = 0x7d
	f64Type       = 0x7c
	v128Type      = 0x7b
	funcrefType   = 0x70
	externrefType = 0x6f
	emptyType     = 0x40
)

// The instructions that something is done with, or that something is done by.
const (
	opBlock        = 0x02
	opLoop         = 0x03
	opIf           = 0x04
	opEnd          = 0x0b
	opCall         = 0x10
	opCallIndirect = 0x11
	opLocalGet     = 0x20
	opLocalSet     = 0x21
	opLocalTee     = 0x22
	opGlobalGet    = 0x23
	opGlobalSet    = 0x24
	opI32Const     = 0x41
	opI32LtS       = 0x48
	opI32Add       = 0x6a
	opI32Sub       = 0x6b
	opI32ShrU      = 0x76
	opRefFunc      = 0xd2
	opBulk         = 0xfc // memory and tables, by a second number
	opVector       = 0xfd
)

const (
	maxLocals  = 50_000  // of a function, as wazero and browsers have it
	moreLocals = 1 << 20 // of all functions, besides one for each byte of code: a compiler has some memory for each
	frame      = 32      // bytes of the stack that a call takes besides its locals
	maxCost    = 1 << 30 // so that no sum with a slice leaves an i32
)

func (m *module) code(w *rewriter) {
	n := w.grow(0)
	if int(n) != len(m.funcs)-int(m.imported) {
		w.fail("it has the code of %d functions; there are %d", n, len(m.funcs)-int(m.imported))
	}
	for i := m.imported; int(i) < len(m.funcs) && w.err == nil; i++ {
		if t := m.funcs[i]; int(t) >= len(m.params) {
			w.fail("function %d is of type %d, which there is not", i, t)
			return
		}
		b := &body{module: m, rewriter: &rewriter{reader: reader{b: w.sized()}}}
		w.drop()
		b.out = make([]byte, 0, len(b.b)*3/2+64)
		b.read(m.params[m.funcs[i]])
		out, err := b.rest()
		if err != nil {
			w.fail("function %d: %w", i, err)
			return
		}
		w.out = appendSized(w.out, out)
	}
}

// body is a function's code.
type body struct {
	*module
	*rewriter
	locals uint32  // how many there are, parameters included; the next one is what was added
	stack  uint32  // bytes of the stack that a call takes, about
	blocks []block // that are open, the innermost last
}

// block is a part of a function that ends with an end.
type block struct {
	begin int // where in the code
	cost  int // where in the output a loop's turn is charged; 0 if it is no loop
}

func (b *body) read(params int) {
	locals := uint64(params)
	groups := b.grow(1)
	for i := uint32(0); i < groups && b.err == nil; i++ {
		locals += uint64(b.u32())
		b.byte() // their type
	}
	if locals > maxLocals {
		b.fail("it has more than %d locals", maxLocals)
		return
	}
	if b.module.locals += locals; b.module.locals > moreLocals+uint64(len(b.sections[codeSection])) {
		b.fail("all functions together have more than %d locals and one for each byte of code", moreLocals)
		return
	}
	b.keep(b.at)
	b.out = append(b.out, 1, i32Type)
	b.locals, b.stack = uint32(locals), frame+8*uint32(locals)
	b.charge(uint32(min(len(b.b), maxCost)) + b.stack)
	b.open(0)
	for b.err == nil && len(b.blocks) > 0 {
		b.instruction()
	}
}

// instruction copies an instruction, with what it takes to meter it.
func (b *body) instruction() {
	begin := b.at
	switch op := b.byte(); op {
	case opBlock, opIf:
		b.leb()
		b.open(0)
	case opLoop:
		b.leb()
		b.keep(b.at)
		b.open(b.charge(0))
	case opEnd:
		b.close()
	case opCall:
		b.keep(begin)
		b.frame(opI32Add)
		b.function(b.rewriter)
		b.frame(opI32Sub)
	case opCallIndirect:
		b.keep(begin)
		b.frame(opI32Add)
		b.leb() // its type
		b.leb() // the table
		b.keep(b.at)
		b.frame(opI32Sub)
	case opRefFunc:
		b.function(b.rewriter)
	case opGlobalGet, opGlobalSet:
		b.global(&b.reader)
	case opLocalGet, opLocalSet, opLocalTee:
		if i := b.u32(); i >= b.locals {
			b.fail("there is no local %d", i)
		}
	case opBulk:
		if b.operands(&b.reader, op) {
			all := b.at
			b.keep(begin)
			b.chargeLength()
			b.keep(all)
		}
	default:
		b.operands(&b.reader, op)
	}
}

func (b *body) open(cost int) { b.blocks = append(b.blocks, block{begin: b.at, cost: cost}) }

// close ends a block. Each turn of a loop costs as much as its code is long.
func (b *body) close() {
	last := b.blocks[len(b.blocks)-1]
	b.blocks = b.blocks[:len(b.blocks)-1]
	if last.cost > 0 {
		putI32(b.out[last.cost:], uint32(min(b.at-last.begin, maxCost)))
	}
}

// charge writes: left -= cost; if left < 0 { pause }. It returns where the cost is.
func (b *body) charge(cost uint32) (at int) {
	b.get(opGlobalGet, b.globals)
	b.out = append(b.out, opI32Const)
	at = len(b.out)
	b.out = append(appendI32(b.out, cost), opI32Sub)
	b.get(opGlobalSet, b.globals)
	b.pause()
	return at
}

// chargeLength writes: left -= length / 64; if left < 0 { pause }. The length is on the operand stack, and stays there.
func (b *body) chargeLength() {
	b.get(opLocalTee, b.locals)
	b.get(opGlobalGet, b.globals)
	b.get(opLocalGet, b.locals)
	b.out = append(b.out, opI32Const, 6, opI32ShrU, opI32Sub)
	b.get(opGlobalSet, b.globals)
	b.pause()
}

// pause writes: if left < 0 { Pause(stack); left = slice }.
func (b *body) pause() {
	b.get(opGlobalGet, b.globals)
	b.out = append(b.out, opI32Const, 0, opI32LtS, opIf, emptyType)
	b.get(opGlobalGet, b.globals+1)
	b.get(opCall, b.imported)
	b.out = appendI32(append(b.out, opI32Const), slice)
	b.get(opGlobalSet, b.globals)
	b.out = append(b.out, opEnd)
}

// frame writes: stack += this function's frame; or -=.
func (b *body) frame(op byte) {
	b.get(opGlobalGet, b.globals+1)
	b.out = append(appendI32(append(b.out, opI32Const), b.stack), op)
	b.get(opGlobalSet, b.globals+1)
}

// get writes an instruction with the number of what it gets, sets or calls.
func (b *body) get(op byte, i uint32) { b.out = appendU32(append(b.out, op), i) }
