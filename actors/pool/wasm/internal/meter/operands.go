package meter

// operands passes over what follows an instruction's first byte. It reports whether the instruction fills or copies as much
// as the number on top of the operand stack says.
func (m *module) operands(r *reader, op byte) (bulk bool) {
	switch {
	case op <= 0x01, op == 0x05, op == opEnd, op == 0x0f, op == 0x1a, op == 0x1b: // unreachable nop else end return drop select
	case op == opBlock, op == opLoop, op == opIf, op == 0x0c, op == 0x0d: // br br_if
		r.leb()
	case op == 0x0e: // br_table
		r.each(r.leb)
		r.leb()
	case op == opCall, op == opRefFunc: // whose numbers move: they are for who can write
		r.fail("instruction %#x is not at its place", op)
	case op == opCallIndirect:
		r.leb()
		r.leb()
	case op == 0x1c: // select, with types
		r.valueTypes()
	case op == opGlobalGet, op == opGlobalSet:
		m.global(r)
	case 0x20 <= op && op <= 0x26: // local table
		r.leb()
	case 0x28 <= op && op <= 0x3e: // load store
		r.memoryArgument()
	case op == 0x3f, op == 0x40, op == 0xd0: // memory.size memory.grow ref.null
		r.byte()
	case op == opI32Const, op == 0x42:
		r.leb()
	case op == 0x43:
		r.take(4)
	case op == 0x44:
		r.take(8)
	case 0x45 <= op && op <= 0xc4, op == 0xd1: // arithmetic, ref.is_null
	case op == opBulk:
		return bulkOperands(r)
	case op == opVector:
		vectorOperands(r)
	default:
		r.fail("there is no instruction %#x in WebAssembly 2.0", op)
	}
	return false
}

func (r *reader) memoryArgument() {
	if align := r.u32(); align > 31 {
		r.fail("a memory argument begins with %d; several memories are not in WebAssembly 2.0", align)
	}
	r.leb()
}

func bulkOperands(r *reader) (bulk bool) {
	switch op := r.u32(); op {
	case 0, 1, 2, 3, 4, 5, 6, 7: // truncations that saturate
	case 9, 13, 15, 16: // data.drop elem.drop table.grow table.size
		r.leb()
	case 8, 10, 12, 14: // memory.init memory.copy table.init table.copy
		r.leb()
		r.leb()
		return true
	case 11, 17: // memory.fill table.fill
		r.leb()
		return true
	default:
		r.fail("there is no instruction 0xfc %d in WebAssembly 2.0", op)
	}
	return false
}

func vectorOperands(r *reader) {
	switch op := r.u32(); {
	case op <= 11, op == 92, op == 93: // loads and stores
		r.memoryArgument()
	case op == 12, op == 13: // v128.const i8x16.shuffle
		r.take(16)
	case 21 <= op && op <= 34: // lanes
		r.byte()
	case 84 <= op && op <= 91: // loads and stores of lanes
		r.memoryArgument()
		r.byte()
	case op <= 255:
	default:
		r.fail("there is no instruction 0xfd %d in WebAssembly 2.0", op)
	}
}
