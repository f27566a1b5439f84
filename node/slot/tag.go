package slot

import "sync"

// tagDigits are what tags are made of, in the order in which they are tried.
const tagDigits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

// Tag returns a hash tag, without its braces, of the slot n: of the shortest ones of
// digits and letters the first. It is the one that Valkey's cursors have.
func Tag(n uint16) string { return tags()[n] }

var tags = sync.OnceValue(makeTags)

// makeTags tries all texts of one, two and three characters.
func makeTags() *[Count]string {
	all, left := new([Count]string), Count
	text := make([]byte, 0, 3)
	var try func(more int)
	try = func(more int) {
		if more == 0 {
			if n := Of(text); all[n] == "" {
				all[n] = string(text)
				left--
			}
			return
		}
		for i := range len(tagDigits) {
			text = append(text, tagDigits[i])
			try(more - 1)
			text = text[:len(text)-1]
		}
	}
	for length := 1; left > 0; length++ {
		try(length)
	}
	return all
}
