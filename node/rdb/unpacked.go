package rdb

// Unpacked returns how many bytes the compressed strings of a payload are said to
// stand for, which is what Decode makes beside what is there. It looks at their heads
// alone; of a payload that does not hold together it is some number.
func Unpacked(payload []byte) int {
	if len(payload) < footer {
		return 0
	}
	version := uint16(payload[len(payload)-footer]) | uint16(payload[len(payload)-footer+1])<<8
	r := &reader{rest: payload[:len(payload)-footer]}
	first, each := parts(r.byte(), version)
	total := r.skim(first)
	if each == "" {
		return total
	}
	for n := r.count(); n > 0 && r.err == nil; n-- {
		total += r.skim(each)
	}
	return total
}

// parts says what follows a type byte, and then comes for each of a number of elements:
// s is a string, n a length, 8 are eight bytes, t is a score as text.
func parts(kind byte, version uint16) (first, each string) {
	switch {
	case kind == typeList, kind == typeSet, kind == typeQuicklist:
		return "", "s"
	case kind == typeQuicklist2:
		return "", "ns"
	case kind == typeZSet:
		return "", "st"
	case kind == typeZSet2:
		return "", "s8"
	case kind == typeHash, kind == typeStream, kind == typeStream2, kind == typeStream3, kind == typeStream4:
		return "", "ss" // of a stream the nodes, and what comes behind them is not compressed
	case kind == typeHashValkey && version >= versionValkey:
		return "", "ss8"
	case kind == typeHashExpiryEarly:
		return "", "nss"
	case kind == typeHashExpiry:
		return "8", "nss"
	case kind == typeListpackExpiry:
		return "8s", ""
	default:
		return "s", ""
	}
}

// skim goes past parts, and returns what the compressed strings among them stand for.
func (r *reader) skim(parts string) (total int) {
	for _, part := range parts {
		switch part {
		case 's':
			total += r.skimString()
		case 'n':
			r.length()
		case '8':
			r.uint64()
		case 't':
			const noText = 253
			if n := r.byte(); n < noText {
				r.take(uint64(n))
			}
		}
	}
	return total
}

func (r *reader) skimString() (unpacked int) {
	n, special := r.lengthOrForm()
	switch {
	case !special:
		r.take(n)
	case n == formInt8:
		r.take(1)
	case n == formInt16:
		r.take(2)
	case n == formInt32:
		r.take(4)
	case n == formLZF:
		from, to := r.length(), r.length()
		if packed := r.take(from); to <= uint64(len(packed))*lzfLargestRatio {
			return int(to)
		}
	}
	return 0
}
