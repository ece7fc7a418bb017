/** What the dynamic linker's messages are explained with. */
import assert from 'node:assert/strict';
import {
  explainLinkerMessage,
  floorProblem,
  isAddonTooNew,
  libcProblem,
} from '../../../lib/native/diagnosis';

describe('what the dynamic linker says', () => {
  const floor = { GLIBC: '2.34', GLIBCXX: '3.4.30', CXXABI: '1.3.13' };

  it('is explained where it is known', () => {
    const cases: [string, RegExp][] = [
      ['libgomp.so.1: cannot open shared object file: No such file or directory', /apt-get install libgomp1/],
      ['libcudart.so.13: cannot open shared object file: No such file', /libtorch install --cuda/],
      [
        "/lib/libstdc++.so.6: version `GLIBCXX_3.4.30' not found (required by a.node)",
        /libstdc\+\+ is too old/,
      ],
      ["/lib/libc.so.6: version `GLIBC_2.34' not found (required by a.node)", /glibc is too old/],
      ['a.node: undefined symbol: _ZN3c10', /C\+\+ ABI/],
      ['libfoo.so: cannot open shared object file: No such file or directory', /not installed/],
    ];
    for (const [message, hint] of cases) {
      assert.match(explainLinkerMessage(message), hint);
      assert.ok(explainLinkerMessage(message).startsWith(message));
    }
    assert.equal(explainLinkerMessage('something else\n'), 'something else');
  });

  it('is not needed to tell musl and an old glibc', () => {
    assert.match(libcProblem({ family: 'musl', version: null }, floor)!, /musl \(Alpine Linux\)/);
    assert.match(libcProblem({ family: 'glibc', version: '2.28' }, floor)!, /glibc is 2\.28 and .* 2\.34/);
    assert.match(libcProblem({ family: 'glibc', version: '2.4' }, floor)!, /glibc is 2\.4 and/);
    for (const version of ['2.34', '2.34.0', '2.41', '3.0', null])
      assert.equal(libcProblem({ family: 'glibc', version }, floor), null);
    assert.equal(libcProblem({ family: null, version: null }, floor), null);
  });

  it('is told apart where the addon itself is too new for the system', () => {
    const missing = "/lib/libstdc++.so.6: version `CXXABI_1.3.13' not found (required by";
    assert.ok(isAddonTooNew(`${missing} /p/sam3-tracker.node) (this system's libstdc++ is too old)`));
    assert.ok(!isAddonTooNew(`${missing} /torch/lib/libc10.so)`));
    assert.ok(!isAddonTooNew('/p/sam3-tracker.node: undefined symbol: _ZN3c10'));
    assert.match(
      floorProblem(floor),
      /glibc 2\.34 and a libstdc\+\+ with GLIBCXX_3\.4\.30 and CXXABI_1\.3\.13/,
    );
  });
});
