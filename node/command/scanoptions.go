package command

// ScanOptions are the options that SCAN and the commands have in common that walk
// over a key's elements. The zero value is that of a command without options.
type ScanOptions struct {
	count   int64
	pattern []byte // nil: all
}

// mostScanned bounds what one call looks at, whatever COUNT says.
const mostScanned = 1 << 20

// Take takes an option, MATCH or COUNT, and reports whether one was there.
func (o *ScanOptions) Take(args *Args) (taken bool, err error) {
	switch {
	case args.IsWith("match", 1):
		o.pattern = args.Next()
	case args.IsWith("count", 1):
		if o.count, err = args.Int(); err == nil && o.count < 1 {
			err = ErrSyntax
		}
	default:
		return false, nil
	}
	return true, err
}

// TakeAll takes the options of a command that has no others.
func (o *ScanOptions) TakeAll(args *Args) error {
	for args.More() {
		switch taken, err := o.Take(args); {
		case err != nil:
			return err
		case !taken:
			return ErrSyntax
		}
	}
	return nil
}

// Count returns how many elements a call should look at.
func (o *ScanOptions) Count() int {
	if o.count == 0 {
		return 10
	}
	return int(min(o.count, mostScanned))
}

// Matches reports whether an element is to be shown.
func (o *ScanOptions) Matches(element []byte) bool {
	return o.pattern == nil || Match(o.pattern, element, false)
}
