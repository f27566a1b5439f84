package resp

import "testing"

// What an error quotes neither ends its line, nor the text for those who stop at
// a NUL, nor looks like the mark of another error, wherever the error stands.
func TestErrorsAreOneLine(t *testing.T) {
	for text, want := range map[string]string{
		"ERR a\r\nb\x00c": "-ERR a  b c\r\n",
		"-ERR x":          "-ERR x\r\n",
		"--":              "-ERR\r\n",
		"":                "-ERR\r\n",
		"ERR -x":          "-ERR -x\r\n",
	} {
		v := Value{Kind: KindError, Str: []byte(text)}
		if got := string(Append(nil, v, 2)); got != want {
			t.Errorf("%q is sent as %q, want %q", text, got, want)
		}
		if got := string(Append(nil, Array(v), 3)); got != "*1\r\n"+want {
			t.Errorf("%q in a list is sent as %q", text, got)
		}
	}
}
