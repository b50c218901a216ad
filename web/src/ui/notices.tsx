/**
 * News and network trouble. Both are live regions: what appears in them is read out.
 */

import type { JSX } from 'preact';
import { useEffect } from 'preact/hooks';
import type { Meeting } from '../model/meeting';
import type { Notice, Notices as NoticeList } from '../model/notices';
import { networkBanner } from '../model/view';
import { useMeetingPort } from '../ports';

/** Long enough to read a sentence twice. */
const NOTICE_MS = 5000;

export function Notices({ notices }: { readonly notices: NoticeList }): JSX.Element {
  return (
    <div class="notices" role="status" aria-live="polite" aria-relevant="additions">
      {notices.list.map((notice) => (
        <NoticeLine key={notice.id} notice={notice} />
      ))}
    </div>
  );
}

function NoticeLine({ notice }: { readonly notice: Notice }): JSX.Element {
  const { store } = useMeetingPort();
  useEffect(() => {
    const timer = setTimeout(() => {
      store.dispatch({ type: 'notice_seen', id: notice.id });
    }, NOTICE_MS);
    return () => {
      clearTimeout(timer);
    };
  }, [store, notice.id]);
  return <p class={notice.quiet ? 'visually-hidden' : 'notice'}>{notice.text}</p>;
}

export function NetworkBanner({ meeting }: { readonly meeting: Meeting }): JSX.Element {
  const banner = networkBanner(meeting);
  return (
    <div class="banner-place" role="alert">
      {banner && <p class={`banner ${banner.tone}`}>{banner.text}</p>}
    </div>
  );
}
