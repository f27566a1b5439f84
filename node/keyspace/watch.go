package keyspace

// Watch is what WATCH remembers of a key. Two of them differ if the key has changed in
// between. The zero value is that of a key that is not there, which does not tell
// whether it came and went meanwhile.
type Watch struct {
	// Version is that of the key's last change.
	Version Version
	// Fields is how many fields a hash has of which some expire: they go without a
	// change of their own.
	Fields int64
}

// Watch returns what there is to remember of a key. It counts as no look-up.
func (v *View) Watch(key []byte) Watch {
	r := v.ref(key)
	rec := v.load(&r)
	if !v.live(rec) {
		return Watch{}
	}
	w := Watch{Version: rec.meta.Version}
	if rec.soonest != 0 {
		w.Fields = HashView{valueView{TypeHash, v, rec}}.Len()
	}
	return w
}
